"""Runs one projection, or a share of one: follows the log, and builds new versions beside the served one.

Connects, and tries again after every loss of a database. What is decided about a projection is in the read database
and told by a notification there, so it holds also after every death of this process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from actors.store.event_store import EventStore, StoreUnavailable, StoreUnsuitable
from projections.builder import Builder, Helpers
from projections.errors import ViewsUnavailable
from projections.follower import Follower
from projections.projection import AnyProjection
from projections.read_store import ReadStore
from projections.reporter import Reporter
from projections.share import WHOLE, Share

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 1.0


class Work(Protocol):
    """What is done with a log and a read database, until one of them is lost."""

    @property
    def reporter(self) -> Reporter: ...

    async def work(self, events: EventStore, views: ReadStore) -> None: ...


class ProjectionRunner:
    """Runs one projection.

    Args:
        open_log, open_views: connect; called again after each failure.
        wait_for_news: see `Follower`.
        share: of the partitions; the first one also builds new versions.
        helpers: see `Builder`.
    """

    def __init__(
        self,
        projection: AnyProjection,
        open_log: Callable[[], Awaitable[EventStore]],
        open_views: Callable[[], Awaitable[ReadStore]],
        wait_for_news: Callable[[Mapping[int, int]], Awaitable[object]],
        *,
        share: Share = WHOLE,
        helpers: Helpers | None = None,
    ) -> None:
        self._name = projection.name
        self._open_log = open_log
        self._open_views = open_views
        self._work: list[Work] = [Follower(projection, share, wait_for_news)]
        if share.index == 0:
            self._work.append(Builder(projection, open_views, helpers))

    async def run(self) -> None:
        """Keep the view up to date, through every loss of a database, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for work in self._work:
                group.create_task(self._keep_at(work))

    async def _keep_at(self, work: Work) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, StoreUnsuitable, ViewsUnavailable)),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_S),
            before_sleep=self._log_trouble,
        )
        await retrying(self._do, work)

    def _log_trouble(self, state: RetryCallState) -> None:
        trouble = state.outcome.exception() if state.outcome else None
        log.warning("projection has to connect again", extra={"projection": self._name, "reason": str(trouble)})

    async def _do(self, work: Work) -> None:
        views = await self._open_views()
        try:
            await views.listen(self._name)
            try:
                await self._do_with_log(work, views)
            except (StoreUnavailable, StoreUnsuitable) as exc:
                await work.reporter.tell(views, 0, error=str(exc))
                raise
        finally:
            await views.close()

    async def _do_with_log(self, work: Work, views: ReadStore) -> None:
        events = await self._open_log()
        try:
            await work.work(events, views)
        finally:
            await events.close()
