"""What became of commands that nobody here can tell of: the log is asked, before anything newer is decided."""

from __future__ import annotations

from collections.abc import Sequence

from actors.runtime.delivery import Delivery, Entry
from actors.runtime.turn import recall
from actors.runtime.wire import NotNow
from actors.store.event_store import WriteSession


class Inquiry:
    """Commands that the log is asked about, and newer ones, which wait so that they do not overtake them."""

    def __init__(self) -> None:
        self._asked: Sequence[Entry] = ()
        self._behind: list[Delivery] = []
        self._refusal: NotNow | None = None

    @property
    def open(self) -> bool:
        """Whether there are any."""
        return bool(self._asked or self._behind)

    def begin(self, asked: Sequence[Entry], behind: Sequence[Delivery] = (), *, refusal: NotNow | None = None) -> None:
        """Have the log asked about some commands; those `behind` are newer, and it need not be asked about them.

        Args:
            refusal: the answer to those that the log does not have; None = their turn is taken again.
        """
        self._asked, self._behind, self._refusal = asked, list(behind), refusal

    def queue(self, deliveries: Sequence[Delivery]) -> None:
        """Put newer commands behind all others."""
        self._behind += deliveries

    async def settle(self, session: WriteSession) -> Sequence[Delivery]:
        """Ask the log, and answer what is in it.

        Returns:
            The others, in their order: now their turn can be taken.

        Raises:
            StoreError: as `WriteSession.prove`; then `withdraw` what is left.
        """
        found = await session.prove([entry.delivery.envelope.command_id for entry in self._asked])
        refusal = self._refusal
        asked, behind = self.withdraw()
        undone = []
        for entry in asked:
            written = found.get(entry.delivery.envelope.command_id)
            if written:
                entry.answer(recall(entry.activation, entry.delivery.envelope, written))
            elif refusal is not None:
                entry.answer(refusal)
            else:
                undone.append(entry.delivery)
        return [*undone, *behind]

    def withdraw(self) -> tuple[Sequence[Entry], Sequence[Delivery]]:
        """Ask nothing any more; what was to be asked about, and what waits behind."""
        asked, behind = self._asked, self._behind
        self._asked, self._behind = (), []
        return asked, behind
