"""Moves one version of a view on: folds events of the log, and writes what they came to, exactly once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from actors.store.event_store import EventStore, Marks, Stretch, positions_of
from projections.build import Build
from projections.errors import LostRace, PoisonEvent, RowRefused, WrongLog
from projections.folding import Aside, Folded, Folding, Portion
from projections.pace import Pace
from projections.read_store import ReadStore

# Rows that are kept in memory from one batch to the next, so that they need not be loaded again.
ROWS_TO_KEEP = 20_000


class BuildWriter:
    """Writes some partitions of one version of a view.

    What it remembers beside the checkpoint is only what nobody can change without moving that checkpoint.

    Args:
        partitions: to write; None = all.
    """

    def __init__(
        self,
        events: EventStore,
        views: ReadStore,
        build: Build,
        folding: Folding,
        pace: Pace,
        partitions: Collection[int] | None = None,
    ) -> None:
        self.build = build
        self.checkpoint: Marks = {}
        self.views = views
        self._events = events
        self._folding = folding
        self._pace = pace
        self._partitions = partitions
        self._aside = Aside()
        self._rows: dict[str, Any] = {}  # None = there is no such row
        self._ends: Marks = {}  # of what is being written

    @property
    def positions(self) -> dict[int, int]:
        """Of the checkpoint."""
        return positions_of(self.checkpoint)

    async def find_place(self) -> None:
        """Look up how far the version is, and forget everything else."""
        checkpoint, self._aside = await self.views.place(self.build)
        mine = checkpoint if self._partitions is None else self._partitions
        self.checkpoint = {partition: checkpoint[partition] for partition in mine}
        self._rows = {}

    async def refuse_other_log(self) -> None:
        """A log without the events that the version ends with is not its log, also when it has others in their place.

        Raises:
            WrongLog: this one is not.
        """
        seen = {partition: mark for partition, mark in self.checkpoint.items() if mark.position}
        there = await self._events.marks(positions_of(seen))
        for partition, mark in seen.items():
            if there.get(partition) != mark:
                raise WrongLog(
                    f"the view has partition {partition} up to {mark.position}, and the log has not, or no longer, "
                    "the same event there; it was restored from an older state, so the view must be built anew"
                )

    async def read(self, after: Mapping[int, int], limit: int) -> Stretch:
        """What comes after some positions of the log, at most `limit` events of each partition."""
        projection = self.build.projection
        return await self._events.follow(after, limit=limit, categories=projection.categories, types=projection.types)

    async def put(self, stretch: Stretch) -> bool:
        """Fold and write what comes after the checkpoint. Returns whether all of it is in the version now.

        Raises:
            PoisonEvent: the first that cannot be folded or stored; everything before it is in the version.
            LogHasGap: an event is missing in front of these.
            WrongLog: the log was restored meanwhile; nothing was written.
            ViewsUnavailable: it may or may not have been written.
        """
        if self._meets_new_epoch(stretch):
            await self.refuse_other_log()
        self._ends = stretch.ends
        return await self._put(self._folding.portion(stretch, self.positions))

    def _meets_new_epoch(self, stretch: Stretch) -> bool:
        """Whether others wrote this than wrote what is before it, as always when a restored log grows again."""
        # Epochs never go down, so the last one tells.
        return any(end.epoch != self.checkpoint[partition].epoch for partition, end in stretch.ends.items())

    async def _put(self, portion: Portion) -> bool:
        try:
            rows = await self._load(portion)
            await self._commit(self._folding.fold(portion, rows, self._aside))
        except RowRefused as refused:
            return await self._find_refused(portion, refused)
        except LostRace:
            await self.find_place()
            return False
        return True

    async def _find_refused(self, portion: Portion, refused: RowRefused) -> bool:
        """Half of the events, and so on, until it is known which one leads to the row that is refused."""
        if len(portion.steps) > 1:
            first, second = portion.halves()
            return await self._put(first) and await self._put(second)
        (step,) = portion.steps
        if await self._put(Portion((), portion.up_to(step))):
            raise PoisonEvent(step.event, step.key, str(refused))
        return False

    async def _commit(self, folded: Folded) -> None:
        after = await self._marks(folded.after)
        if after:
            await self.views.commit(self.build, self._guarded(after), after, folded)
            self._pace.count(sum(mark.position - self.checkpoint[each].position for each, mark in after.items()))
            self.checkpoint = {**self.checkpoint, **after}
            self._keep({key: row for key, (_, row) in folded.changes.items()})
        if folded.poison is not None:
            raise folded.poison

    async def _marks(self, after: Mapping[int, int]) -> Marks:
        """Of the events at positions after the checkpoint; the log is asked for those amid what is being written."""
        moved = {each: position for each, position in after.items() if position > self.checkpoint[each].position}
        amid = {each: position for each, position in moved.items() if position < self._ends[each].position}
        found = await self._events.marks(amid) if amid else {}
        if len(found) < len(amid):
            raise WrongLog("the log was restored from an older state while the view was written")
        return {each: found[each] if each in amid else self._ends[each] for each in moved}

    async def _load(self, portion: Portion) -> Mapping[str, Any]:
        keys = {step.key for step in portion.steps if step.fold is not None and step.key is not None}
        unknown = sorted(key for key in keys if key not in self._rows)
        loaded = await self.views.load(self.build, unknown)
        self._rows.update((key, loaded.get(key)) for key in unknown)
        return self._rows

    def _guarded(self, after: Marks) -> Marks:
        """The part of the checkpoint that must not have moved: where events may have changed the same rows."""
        if self.build.projection.stays_in_partition:
            return {partition: self.checkpoint[partition] for partition in after}
        return self.checkpoint

    def _keep(self, rows: Mapping[str, Any]) -> None:
        self._rows.update(rows)
        if len(self._rows) > ROWS_TO_KEEP:
            self._rows = {}
