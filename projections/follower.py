"""Keeps the served version of a view up to date: read the log, fold, write, and wait for more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from actors.store.event_store import EventStore, Stretch
from projections.build import Build
from projections.build_writer import BuildWriter
from projections.errors import LogHasGap, PoisonEvent, WrongLog
from projections.fold_spans import FoldSpans
from projections.folding import Folding
from projections.projection import AnyProjection
from projections.read_store import ReadStore
from projections.reporter import INTERVAL_S, Reporter
from projections.share import Share
from projections.versions import Versions

log = logging.getLogger(__name__)

BATCH = 256  # events of each partition
# A view takes together what comes within this time, because each round costs as much as many events; one that had
# nothing to do takes the first event at once.
ROUND_S = 0.03
# The same while more events of the view come than so many in a second, and while none of those that come is the view's.
# Whoever asks it with a token would have to wait, and calls.
BUSY_ROUND_S = 0.1
BUSY_FROM_PER_S = 2_000
ROUND_OF_OTHERS_S = 0.25
FURTHER_THAN_ANY_LOG = 2**62


class Follower:
    """Follows the log with one share of a projection.

    Nothing is remembered but the checkpoint, and that is in the read database, so it may be killed anywhere.

    Args:
        wait_for_news: returns when a partition may be further than the positions it is given, or after a while;
            polling is enough, the table is the truth.
    """

    def __init__(
        self, projection: AnyProjection, share: Share, wait_for_news: Callable[[Mapping[int, int]], Awaitable[object]]
    ) -> None:
        self.reporter = Reporter(projection.name, building=False, share=share.index)
        self._projection = projection
        self._share = share
        self._folding = Folding(projection)
        self._spans = FoldSpans(projection)
        self._wait_for_news = wait_for_news
        self._writer: BuildWriter | None = None

    async def work(self, events: EventStore, views: ReadStore) -> None:
        """Follow the served version, whichever that is at the moment, until a database is lost."""
        versions = Versions(views.connection, self._projection)
        await self._dismiss_others(views)
        while True:
            views.orders.clear()
            self._writer = None
            try:
                served = await versions.served(events.info)
                if served is None:
                    await self.reporter.tell_until_orders(views, events, 0, {}, None)
                else:
                    await self._follow(events, views, *served)
            except PoisonEvent as poison:
                if self._writer is None or not await views.stop(self._writer.build, poison):
                    await self._stand_still(events, views, str(poison))
            except (LogHasGap, WrongLog) as broken:
                await self._stand_still(events, views, str(broken))

    async def _follow(self, events: EventStore, views: ReadStore, build: Build, paused: bool) -> None:
        partitions = self._share.partitions(events.info.partitions)
        writer = BuildWriter(events, views, build, self._folding, self.reporter.pace, partitions)
        await writer.find_place()
        self._writer = writer
        if paused:
            await self.reporter.tell_until_orders(views, events, build.version, writer.positions, None)
        await writer.refuse_other_log()
        stood = True
        await self._report(events, views, writer)
        began = time.monotonic()
        while not views.orders.is_set():
            earlier, began = began, time.monotonic()
            views.calls.clear()
            stretch = await writer.read(writer.positions, BATCH)
            if stretch.ends:
                before = writer.positions
                self._spans.begin()
                await writer.put(stretch)
                await self._spans.tell(events, before, writer.positions)
                stood = stood and await views.stands(build, writer.positions)
                await _rest(views, stretch, began - earlier, time.monotonic() - began)
            else:
                await self._wait(views, events.info.partitions, writer.positions)
            if self.reporter.is_due:
                await self._report(events, views, writer)

    async def _wait(self, views: ReadStore, partitions: int, checkpoint: Mapping[int, int]) -> None:
        """Until there is news of the partitions of this share, or an order, or it is time for a report."""
        known = {**dict.fromkeys(range(partitions), FURTHER_THAN_ANY_LOG), **checkpoint}
        news = asyncio.ensure_future(self._wait_for_news(known))
        order = asyncio.ensure_future(views.orders.wait())
        try:
            await asyncio.wait((news, order), timeout=INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            order.cancel()

    async def _report(self, events: EventStore, views: ReadStore, writer: BuildWriter) -> None:
        # Again and again: those of an older service may report for some time beside those of a newer one.
        await self._dismiss_others(views)
        await self.reporter.tell_lag(views, events, writer.build.version, writer.positions, None)

    async def _dismiss_others(self, views: ReadStore) -> None:
        if self._share.index == 0:
            await views.dismiss(self._projection.name, building=False, shares=self._share.of)

    async def _stand_still(self, events: EventStore, views: ReadStore, reason: str) -> None:
        """Keep what is there, tell why, and do nothing more until somebody orders something."""
        log.critical("projection stopped", extra={"projection": self._projection.name, "reason": reason})
        version, checkpoint = (0, {}) if self._writer is None else (self._writer.build.version, self._writer.positions)
        await self.reporter.tell_until_orders(views, events, version, checkpoint, reason)


async def _rest(views: ReadStore, stretch: Stretch, came_within_s: float, took_s: float) -> None:
    """After a round that did this much and took so long, until the next one is worth it."""
    if max(stretch.lengths.values()) >= BATCH:
        return
    await asyncio.sleep(max(0.0, ROUND_S - took_s))
    longer_s = _round_s(len(stretch.events), came_within_s) - max(ROUND_S, took_s)
    if longer_s > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(longer_s):
                await views.calls.wait()


def _round_s(events: int, came_within_s: float) -> float:
    """From one round to the next, when so many events of the view came within so long."""
    if not events:
        return ROUND_OF_OTHERS_S
    # Events come in batches, so that a shorter time tells nothing.
    return BUSY_ROUND_S if events > BUSY_FROM_PER_S * max(ROUND_S, came_within_s) else ROUND_S
