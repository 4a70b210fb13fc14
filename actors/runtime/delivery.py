"""Commands inside a silo, from their arrival to their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from actors.runtime.activation import Activation
from actors.runtime.snapshots import Moment
from actors.runtime.turn import Turn
from actors.runtime.wire import CommandEnvelope, Done, NotNow, Outcome


class Batch:
    """The commands of one call, and the place where their outcomes gather."""

    def __init__(self, envelopes: Sequence[CommandEnvelope]) -> None:
        self.deliveries = [Delivery(envelope, self, place) for place, envelope in enumerate(envelopes)]
        self._outcomes: list[Outcome | None] = [None] * len(self.deliveries)
        self._missing = len(self.deliveries)
        self._complete = asyncio.get_running_loop().create_future()
        if not self._missing:
            self._complete.set_result(None)

    async def outcomes(self) -> list[Outcome]:
        """All outcomes, in the order of the commands, once the last is there."""
        await self._complete
        return [outcome for outcome in self._outcomes if outcome is not None]

    def answer(self, place: int, outcome: Outcome) -> None:
        """Set the outcome of one command; only the first counts."""
        if self._outcomes[place] is not None:
            return
        self._outcomes[place] = outcome
        self._missing -= 1
        if not self._missing and not self._complete.done():
            self._complete.set_result(None)


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
