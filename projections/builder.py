"""Builds a new version of a view beside the served one, compares the two, and swaps them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from actors.store.event_store import EventStore, positions_of
from projections.build import Build
from projections.build_writer import BuildWriter
from projections.bulk import Bulk
from projections.errors import LogHasGap, PoisonEvent, RowsDiffer, ViewsUnavailable, WrongLog
from projections.folding import Folding
from projections.projection import AnyProjection
from projections.read_store import ReadStore, unavailable
from projections.reporter import INTERVAL_S, Reporter
from projections.status import SILENT_AFTER_S
from projections.versions import Versions

log = logging.getLogger(__name__)

# From so many events on, several processes build together.
PARALLEL_FROM = 50_000

# Seldom enough to cost nothing, and often enough that nobody takes this process for dead.
HEARD_OF_EVERY_S = SILENT_AFTER_S / 3

Helpers = Callable[[int, Mapping[int, int]], Awaitable[None]]


class Builder:
    """Looks after the versions of a projection that are to be built.

    Args:
        open_views: further connections, to hold the served version while the new one is swapped in, and to be heard of.
        helpers: builds a version up to a goal with several processes; None = alone.
    """

    def __init__(
        self, projection: AnyProjection, open_views: Callable[[], Awaitable[ReadStore]], helpers: Helpers | None = None
    ) -> None:
        self.reporter = Reporter(projection.name, building=True, share=0)
        self._projection = projection
        self._folding = Folding(projection)
        self._open_views = open_views
        self._helpers = helpers if projection.stays_in_partition else None
        self._takes_over = True

    async def work(self, events: EventStore, views: ReadStore) -> None:
        """Build whatever is to be built, until a database is lost."""
        versions = Versions(views.connection, self._projection)
        while True:
            views.orders.clear()
            build: Build | None = None
            try:
                wanted = await versions.wanted(events.info, takes_over=self._takes_over)
                # Once, or two releases that run at the same time would take the view from each other for ever.
                self._takes_over = self._takes_over and wanted is not None
                if wanted is None or wanted[1]:
                    await views.dismiss(self._projection.name, building=True, shares=0)
                else:
                    build, _ = wanted
                    async with self._heard_of():
                        await self._build(events, views, versions, build)
                # Then it asks the database, because a connection that was lost brings no orders and tells nothing.
                await views.wait_for_orders(INTERVAL_S)
            except PoisonEvent as poison:
                if build is None or not await views.stop(build, poison):
                    await self._stand_still(events, views, build, str(poison))
            except (LogHasGap, WrongLog, RowsDiffer) as broken:
                await self._stand_still(events, views, build, str(broken))

    async def _build(self, events: EventStore, views: ReadStore, versions: Versions, build: Build) -> None:
        """All the way to being served. Wherever it is interrupted, the next try goes on from the checkpoint."""
        await self.reporter.tell(views, build.version)
        writer = BuildWriter(events, views, build, self._folding, self.reporter.pace)
        await writer.find_place()
        await writer.refuse_other_log()
        served, model = await versions.served_version(), await versions.must_be_compared(build)
        accepted = await versions.is_accepted(build)
        if served is not None and not accepted:
            await self._refuse_shorter_log(events, views, served)
        await self._catch_up(events, writer, model)
        await versions.index(build)
        there = await self._catch_up(events, writer, model)
        if served is None:
            if there:
                await versions.serve(build, served)
            return
        holding = await self._open_views()
        try:
            if model is not None and not await self._compare(holding, writer, model):
                return
            await self._catch_up(events, writer, model)
            async with Versions(holding.connection, self._projection).held(served) as place:
                goal = _within(await events.heads(), place) if accepted else place
                if await Bulk(writer, goal, self.reporter).run():
                    await versions.serve(build, served)
        finally:
            await holding.close()

    async def _refuse_shorter_log(self, events: EventStore, views: ReadStore, served: int) -> None:
        """Readers go back in the log only when somebody has accepted that.

        Raises:
            WrongLog: the served version is ahead of the log, which was restored.
        """
        place, _ = await views.place(Build(self._projection, served))
        if _within(await events.heads(), positions_of(place)) != positions_of(place):
            raise WrongLog(
                f"the served version {served} has events that the log no longer has, because it was restored from an "
                "older state; accept the new one, which has them not"
            )

    @asynccontextmanager
    async def _heard_of(self) -> AsyncIterator[None]:
        """Until the block ends, tell that this process is there, also while it waits for helpers or a statement."""
        telling = asyncio.create_task(self._tell_again())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell_again(self) -> None:
        while True:
            await asyncio.sleep(HEARD_OF_EVERY_S)
            if self.reporter.is_due:
                with suppress(ViewsUnavailable):
                    views = await self._open_views()
                    try:
                        await self.reporter.tell_again(views)
                    finally:
                        await views.close()

    async def _catch_up(self, events: EventStore, writer: BuildWriter, model: Build | None) -> bool:
        """Get to the end of the log, or to where the served version is that this one is compared with."""
        goal = await events.heads() if model is None else positions_of((await writer.views.place(model))[0])
        bulk = Bulk(writer, goal, self.reporter)
        if self._helpers is not None and bulk.missing >= PARALLEL_FROM:
            await self._helpers(writer.build.version, goal)
            await writer.find_place()
        there = await bulk.run()
        await writer.views.stands(writer.build, writer.positions)
        return there

    async def _compare(self, holding: ReadStore, writer: BuildWriter, model: Build) -> bool:
        """See that the new version has the rows of the served one, both at one position.

        Returns:
            Whether that could be seen; not when an order came in between.

        Raises:
            RowsDiffer: it has not.
        """
        connection = writer.views.connection
        versions = Versions(connection, self._projection)
        snapshot = connection.transaction(isolation="repeatable_read", readonly=True)
        async with Versions(holding.connection, self._projection).held(model.version) as place:
            await Bulk(writer, place, self.reporter).run()
            with unavailable("cannot compare the versions"):
                await snapshot.start()
            # The first statement takes the snapshot, which has both where they are now; then the served one may go on.
            await versions.served_version()
        new, old = await versions.digests(writer.build, model)
        with unavailable("cannot compare the versions"):
            await snapshot.rollback()
        if writer.positions != place:
            return False
        if new != old:
            raise RowsDiffer(
                f"version {writer.build.version} has {_told(new)}, the served version {model.version} has "
                f"{_told(old)} at the same position; accept it, or take it back"
            )
        return True

    async def _stand_still(self, events: EventStore, views: ReadStore, build: Build | None, reason: str) -> None:
        log.critical("rebuild stopped", extra={"projection": self._projection.name, "reason": reason})
        version = 0 if build is None else build.version
        await self.reporter.tell_until_orders(views, events, version, {}, reason)


def _within(heads: Mapping[int, int], place: Mapping[int, int]) -> dict[int, int]:
    return {partition: min(position, heads.get(partition, 0)) for partition, position in place.items()}


def _told(digests: Sequence[tuple[int, int]]) -> str:
    return " and ".join(f"{rows} rows with checksum {checksum}" for rows, checksum in digests)
