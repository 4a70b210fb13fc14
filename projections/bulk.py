"""Fills a version with a long stretch of the log: large batches, partition by partition where rows allow it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from actors.store.event_store import EventStore, Stretch
from projections.build import Build
from projections.build_writer import BuildWriter
from projections.errors import LogHasGap, PoisonEvent, WrongLog
from projections.folding import Folding
from projections.projection import AnyProjection
from projections.read_store import ReadStore
from projections.reporter import Reporter
from projections.share import Share

log = logging.getLogger(__name__)

BATCH = 20_000  # events


class Bulk:
    """Moves a version on to a goal.

    Args:
        goal: partition → position to get to, and never beyond.
    """

    def __init__(self, writer: BuildWriter, goal: Mapping[int, int], reporter: Reporter) -> None:
        self._writer = writer
        self._goal = goal
        self._reporter = reporter

    @property
    def missing(self) -> int:
        """How many events there are up to the goal."""
        return sum(max(0, goal - self._writer.checkpoint[partition].position) for partition, goal in self._goal.items())

    async def run(self) -> bool:
        """Get there, or stop between two batches when somebody orders something. Returns whether it is there.

        Raises as `BuildWriter.put`.
        """
        views, projection = self._writer.views, self._writer.build.projection
        # A partition after the other, because then the same rows come again within a batch.
        lanes = [[each] for each in self._goal] if projection.stays_in_partition else [list(self._goal)]
        for lane in lanes:
            while not views.orders.is_set() and (stretch := await self._read(lane)).ends:
                await self._writer.put(stretch)
                if self._reporter.is_due:
                    await self._reporter.tell(views, self._writer.build.version, self.missing)
        return not self.missing

    async def _read(self, lane: Sequence[int]) -> Stretch:
        """The next events of some partitions, none of them beyond the goal; empty when it is reached."""
        checkpoint = self._writer.positions
        after = {each: checkpoint[each] for each in lane if checkpoint[each] < self._goal[each]}
        if not after:
            return Stretch((), {}, {})
        limit = min(BATCH // len(after), *(self._goal[each] - position for each, position in after.items()))
        return await self._writer.read(after, limit)


async def help_to_build(
    projection: AnyProjection,
    version: int,
    goal: Mapping[int, int],
    share: Share,
    open_log: Callable[[], Awaitable[EventStore]],
    open_views: Callable[[], Awaitable[ReadStore]],
) -> None:
    """Move some partitions of a version on to a goal, in a process beside the one that looks after it.

    An event that cannot be folded, a hole and another log end this; whoever looks after the version will meet them
    too, and tell.

    Args:
        goal: partition → position, of the partitions of this share.
    """
    views = await open_views()
    try:
        await views.listen(projection.name)
        events = await open_log()
        reporter = Reporter(projection.name, building=True, share=1 + share.index)
        writer = BuildWriter(events, views, Build(projection, version), Folding(projection), reporter.pace, goal)
        try:
            await writer.find_place()
            bulk = Bulk(writer, goal, reporter)
            await reporter.tell(views, version, bulk.missing)
            await bulk.run()
        except (PoisonEvent, LogHasGap, WrongLog) as stopped:
            log.warning("helper stopped", extra={"projection": projection.name, "reason": str(stopped)})
        finally:
            await events.close()
    finally:
        await views.close()
