"""Keeps one view up to date: read the log, fold, write, and wait for more.

Nothing is remembered but the checkpoint, and that is in the read database, so a runner may be killed anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from actors.store.event_store import (
    EventStore,
    Mark,
    RecordedEvent,
    StoreUnavailable,
    StoreUnsuitable,
    positions_of,
)
from projections.build import Build
from projections.errors import LogHasGap, LostRace, PoisonEvent, RowRefused, ViewsUnavailable, WrongLog
from projections.folding import Folded, Folding, Step, poison_of
from projections.pace import Pace
from projections.projection import AnyProjection
from projections.read_store import ReadStore

log = logging.getLogger(__name__)

BATCH = 256
LONGEST_PAUSE_S = 1.0

State = Literal["starting", "running", "rebuilding", "failed"]


class ProjectionStatus(msgspec.Struct, frozen=True):
    """What people want to know of a projection.

    Attributes:
        version: of its tables; 0 before they are there.
        checkpoint: partition → position of the last event in the view.
        events_per_s: read from the log, on average over the last seconds.
        error: why it does not move; None when it does.
    """

    name: str
    version: int
    state: State
    checkpoint: dict[int, int]
    events_per_s: float
    error: str | None


class Lag(msgspec.Struct, frozen=True):
    """How far a view is not.

    Attributes:
        events: of the log that are not in the view.
        seconds: age of the oldest of them, 0 when there is none.
    """

    events: int
    seconds: float


class ProjectionRunner:
    """Runs one projection over the whole log.

    Args:
        open_log, open_views: connect; called again after each failure.
        wait_for_news: returns when a partition may be further than the positions it is given, or after a
            while; polling is enough, the table is the truth.
    """

    def __init__(
        self,
        projection: AnyProjection,
        open_log: Callable[[], Awaitable[EventStore]],
        open_views: Callable[[], Awaitable[ReadStore]],
        wait_for_news: Callable[[Mapping[int, int]], Awaitable[object]],
    ) -> None:
        self._projection = projection
        self._folding = Folding(projection)
        self._open_log = open_log
        self._open_views = open_views
        self._wait_for_news = wait_for_news
        self._events: EventStore | None = None
        self._build: Build | None = None
        self._checkpoint: dict[int, Mark] = {}
        self._pace = Pace()
        self._state: State = "starting"
        self._error: str | None = None

    @property
    def status(self) -> ProjectionStatus:
        """What it does at the moment."""
        version = 0 if self._build is None else self._build.version
        checkpoint = positions_of(self._checkpoint)
        return ProjectionStatus(
            self._projection.name, version, self._state, checkpoint, self._pace.per_s(), self._error
        )

    async def lag(self) -> Lag:
        """How far the view is behind the log, also of a projection that failed.

        Raises:
            StoreUnavailable: the log does not answer, or is not open yet.
        """
        if self._events is None:
            raise StoreUnavailable("the log is not open")
        checkpoint = positions_of(self._checkpoint)
        heads = await self._events.heads()
        missing = await self._events.read_partitions(checkpoint, limit=1)
        oldest = min((event.recorded_at for event in missing), default=None)
        seconds = 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())
        return Lag(sum(head - checkpoint.get(partition, 0) for partition, head in heads.items()), seconds)

    async def run(self) -> None:
        """Keep the view up to date, through every loss of a database, until cancelled.

        After an event that cannot be folded it does nothing more, but tells so; what is in the view stays.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, StoreUnsuitable, ViewsUnavailable)),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_S),
            before_sleep=self._note_trouble,
        )
        await retrying(self._work)

    async def _work(self) -> None:
        events = self._events = await self._open_log()
        try:
            views = await self._open_views()
            try:
                await self._follow(events, views)
            except (PoisonEvent, LogHasGap, WrongLog) as exc:
                await self._stand_still(views, str(exc))
            finally:
                await views.close()
        finally:
            self._events = None
            await events.close()

    async def _follow(self, events: EventStore, views: ReadStore) -> None:
        build = self._build = await views.prepare(self._projection, events.info)
        self._checkpoint = dict(await views.checkpoint(build))
        await self._refuse_other_events(events)
        await views.note_error(build, None)
        self._state, self._error = "rebuilding", None
        while True:
            checkpoint = positions_of(self._checkpoint)
            batch = await events.read_partitions(checkpoint, limit=BATCH)
            done = not batch or await self._put(views, build, self._folding.steps(batch, checkpoint))
            if self._state == "rebuilding" and done and not _is_full(batch):
                await views.serve(build)
                self._state = "running"
            if not batch:
                await self._wait_for_news(checkpoint)

    async def _put(self, views: ReadStore, build: Build, steps: Sequence[Step]) -> bool:
        """Fold and write. Returns whether all of it is in the view now.

        Raises:
            PoisonEvent: of the first that cannot be folded or stored; everything before it is in the view.
        """
        try:
            rows = await views.load(build, sorted({step.key for step in steps if step.fold is not None}))
            folded = self._folding.fold(steps, rows)
            await self._commit(views, build, folded)
        except RowRefused as refused:
            if len(steps) == 1:
                raise poison_of(steps[0].event, str(refused)) from refused
            # Half of them, and so on, until it is known which event leads to the row.
            await self._put(views, build, steps[: len(steps) // 2])
            return False
        except LostRace:
            self._checkpoint = dict(await views.checkpoint(build))
            return False
        if folded.poison is not None:
            raise folded.poison
        return True

    async def _commit(self, views: ReadStore, build: Build, folded: Folded) -> None:
        if folded.after:
            moved = sum(
                after.position - self._checkpoint[partition].position for partition, after in folded.after.items()
            )
            await views.commit(build, self._checkpoint, folded.after, folded.changes)
            self._checkpoint.update(folded.after)
            self._pace.count(moved)

    async def _stand_still(self, views: ReadStore, reason: str) -> None:
        """Keep what is there, tell why, and do nothing more."""
        self._state, self._error = "failed", reason
        log.critical("projection stopped", extra={"projection": self._projection.name, "reason": reason})
        if self._build is not None:
            await views.note_error(self._build, reason)
        await asyncio.get_running_loop().create_future()

    async def _refuse_other_events(self, events: EventStore) -> None:
        """A log without the events that the view ends with is not its log, also when it has others in their place."""
        seen = {partition: mark for partition, mark in self._checkpoint.items() if mark.position}
        there = await events.marks(positions_of(seen))
        for partition, mark in seen.items():
            if there.get(partition) != mark:
                raise WrongLog(
                    f"the view has partition {partition} up to {mark.position}, and the log has not, or no longer, "
                    "the same event there; it was restored from an older state, so the view must be built anew"
                )

    def _note_trouble(self, state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        self._state, self._error = "starting", str(failure)


def _is_full(batch: Sequence[RecordedEvent]) -> bool:
    """Whether there may be more than was read."""
    return max(Counter(event.partition for event in batch).values(), default=0) == BATCH
