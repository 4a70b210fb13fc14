"""The row that a view had for an actor at some moment, folded from the actor's history by the view's own folds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel

from actors.store.event_store import RecordedEvent
from projections.folding import Folding
from projections.projection import Projection

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Past:
    """A moment of an actor's past, given in one of two ways.

    Attributes:
        version: up to the event with this version.
        moment: up to the last event that was recorded at this time or before. Versions order events, clocks only
            label them: an event that a clock dated later, but which came before such an event, belongs to it.
    """

    version: int | None = None
    moment: datetime | None = None

    def includes(self, event: RecordedEvent) -> bool:
        """Whether the event belongs to it, and with it all events before."""
        if self.version is not None:
            return event.version <= self.version
        return self.moment is None or event.recorded_at <= self.moment


@dataclass(frozen=True, slots=True)
class Then(Generic[R]):
    """What was.

    Attributes:
        row: None when there was none.
        last: the newest event that was read; None when the actor has no history.
    """

    row: R | None
    last: RecordedEvent | None


async def row_then(projection: Projection[R], history: AsyncGenerator[RecordedEvent], past: Past) -> Then[R]:
    """The row that the view had then.

    Args:
        history: the whole history of the actor.

    Raises:
        PoisonEvent: an event of it cannot be folded.
    """
    folding = Folding(projection)
    now: R | None = None
    then: R | None = None
    last = None
    async with aclosing(history):
        async for event in history:
            now = folding.next_row(now, event)
            if past.includes(event):
                then = now
            last = event
            if event.version == past.version:
                break
    return Then(then, last)
