"""Commands inside a silo, from their arrival to their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from actors.runtime.activation import Activation
from actors.runtime.snapshots import Moment
from actors.runtime.turn import Turn
from actors.runtime.wire import CommandEnvelope, Done, Later, NotNow, Outcome


class Batch:
    """The commands of one call, and the place where their outcomes gather.

    Attributes:
        deadline: the latest of theirs.
        complete: has a result once the last outcome is there.
    """

    def __init__(self, envelopes: Sequence[CommandEnvelope]) -> None:
        self.deliveries = [Delivery(envelope, self, place) for place, envelope in enumerate(envelopes)]
        self.deadline = max((envelope.deadline for envelope in envelopes), default=0.0)
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outcomes: list[Outcome | None] = [None] * len(self.deliveries)
        self._missing = len(self.deliveries)
        self._untold: Sequence[int] = range(len(self.deliveries))
        if not self._missing:
            self.complete.set_result(None)

    def tell(self, later: Later) -> list[Outcome | Later]:
        """The outcomes that were not told before, in the order of the commands; `later` where there is none yet."""
        told = [self._outcomes[place] or later for place in self._untold]
        self._untold = [place for place in self._untold if self._outcomes[place] is None]
        return told

    def answer(self, place: int, outcome: Outcome) -> None:
        """Set the outcome of one command; only the first counts."""
        if self._outcomes[place] is not None:
            return
        self._outcomes[place] = outcome
        self._missing -= 1
        if not self._missing:
            self.complete.set_result(None)


class Delivery(msgspec.Struct, eq=False):
    """One command, and where its answer goes."""

    envelope: CommandEnvelope
    _batch: Batch
    _place: int

    def answer(self, outcome: Outcome) -> None:
        self._batch.answer(self._place, outcome)

    def refuse_late(self, now: float) -> bool:
        """Answer a command that must not be decided any more; whether it was one."""
        late = self.envelope.deadline < now
        if late:
            self.answer(NotNow("the deadline has passed"))
        return late


class Entry(msgspec.Struct, eq=False):
    """A command that had its turn and waits for the journal.

    Attributes:
        moment: to be kept as a snapshot once the log has what the turn has written.
    """

    delivery: Delivery
    activation: Activation[Delivery]
    turn: Turn
    moment: Moment | None = None

    def release(self, position: int, epoch: int) -> None:
        """Answer with the outcome of the turn; `position` is where its events, or all before it, end."""
        outcome = self.turn.outcome
        if isinstance(outcome, Done):
            outcome = msgspec.structs.replace(outcome, position=position, epoch=epoch)
        self.answer(outcome)

    def answer(self, outcome: Outcome) -> None:
        self.activation.unsettled -= 1
        self.delivery.answer(outcome)
