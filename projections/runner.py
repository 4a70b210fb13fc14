"""Keeps one view up to date: read the log, fold, write, and wait for more.

Nothing is remembered but the checkpoint, and that is in the read database, so a runner may be killed anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from actors.store.event_store import EventStore, StoreUnavailable, StoreUnsuitable
from projections.build import Build
from projections.errors import LogHasGap, LostRace, PoisonEvent, ViewsUnavailable
from projections.folding import Folded, Folding
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
        behind: events of the log that are not in the view, when it last looked.
        error: why it does not move; None when it does.
    """

    name: str
    version: int
    state: State
    checkpoint: dict[int, int]
    behind: int
    error: str | None


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
        self._build: Build | None = None
        self._checkpoint: dict[int, int] = {}
        self._behind = 0
        self._state: State = "starting"
        self._error: str | None = None

    @property
    def status(self) -> ProjectionStatus:
        """What it does at the moment."""
        version = 0 if self._build is None else self._build.version
        return ProjectionStatus(
            self._projection.name, version, self._state, dict(self._checkpoint), self._behind, self._error
        )

    async def run(self) -> None:
        """Keep the view up to date, through every loss of a database, until cancelled.

        After an event that cannot be folded it does nothing more, but tells so; what is in the view stays.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, StoreUnsuitable, ViewsUnavailable)),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_S),
            before_sleep=self._note_trouble,
        )
        try:
            await retrying(self._work)
        except (PoisonEvent, LogHasGap) as exc:
            self._state, self._error = "failed", str(exc)
            log.critical("projection stopped", extra={"projection": self._projection.name, "reason": str(exc)})
            await asyncio.get_running_loop().create_future()

    async def _work(self) -> None:
        events = await self._open_log()
        try:
            views = await self._open_views()
            try:
                await self._follow(events, views)
            finally:
                await views.close()
        finally:
            await events.close()

    async def _follow(self, events: EventStore, views: ReadStore) -> None:
        build = self._build = await views.prepare(self._projection, events.info.partitions)
        self._checkpoint = dict(await views.checkpoint(build))
        self._state, self._error = "rebuilding", None
        heads = await events.heads()
        while True:
            if self._state == "rebuilding" and self._lag(heads) == 0:
                await views.serve(build)
                self._state = "running"
            if not await self._advance(events, views, build):
                await self._wait_for_news(self._checkpoint)
            elif self._state == "rebuilding":
                heads = await events.heads()

    async def _advance(self, events: EventStore, views: ReadStore, build: Build) -> bool:
        """One batch into the view. Returns whether there was one."""
        batch = await events.read_partitions(self._checkpoint, limit=BATCH)
        if not batch:
            self._behind = 0
            return False
        steps = self._folding.steps(batch, self._checkpoint)
        rows = await views.load(build, sorted({step.key for step in steps if step.fold is not None}))
        folded = self._folding.fold(steps, rows)
        self._behind = len(batch)
        await self._commit(views, build, folded)
        if folded.poison is not None:
            await views.note_error(build, str(folded.poison))
            raise folded.poison
        return True

    async def _commit(self, views: ReadStore, build: Build, folded: Folded) -> None:
        if not folded.after:
            return
        try:
            await views.commit(build, self._checkpoint, folded.after, folded.changes)
        except LostRace:
            self._checkpoint = dict(await views.checkpoint(build))
            return
        self._checkpoint.update(folded.after)

    def _lag(self, heads: Mapping[int, int]) -> int:
        return sum(max(0, head - self._checkpoint.get(partition, 0)) for partition, head in heads.items())

    def _note_trouble(self, state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        self._state, self._error = "starting", str(failure)
