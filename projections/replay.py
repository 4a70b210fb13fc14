"""A plain fold of the log, one event after the other: what the rows of a view have to be.

It shares the folds with the runner, and nothing else, so that a mistake of the runner cannot hide in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import NamedTuple

from pydantic import BaseModel

from actors.store.event_store import EventStore, LoggedEvent, split_stream
from projections.projection import AnyProjection, Recorded

PAGE = 5_000


class Place(NamedTuple):
    """Of an event in the log."""

    partition: int
    position: int


class Replay:
    """Folds the log for one projection.

    Args:
        left_out: events that somebody has set aside or skipped.
        progress: told how many more events were read.
    """

    def __init__(
        self,
        projection: AnyProjection,
        events: EventStore,
        left_out: Collection[Place],
        progress: Callable[[int], object],
    ) -> None:
        self._projection = projection
        self._sources = {source.category: source for source in projection.sources}
        self._events = events
        self._left_out = left_out
        self._progress = progress

    async def rows(self, upto: Mapping[int, int]) -> Mapping[str, BaseModel]:
        """The rows of some partitions after their events up to a position.

        Raises:
            Exception: whatever a fold raises, when an event cannot be folded.
        """
        rows: dict[str, BaseModel] = {}
        for partition, end in upto.items():
            async for event in self._read(partition, end):
                if Place(event.partition, event.position) not in self._left_out:
                    self._fold(event, rows)
        return rows

    def _fold(self, event: LoggedEvent, rows: dict[str, BaseModel]) -> None:
        category, actor = split_stream(event.stream)
        reading = self._sources[category].readings.get(event.type)
        fold = None if reading is None else self._projection.on.get(reading.model)
        if reading is None or fold is None:
            return
        data = reading.read(event.data)
        recorded = Recorded(data, actor, event.version, event.recorded_at, event.partition, event.position)
        key = self._projection.locate(recorded)
        row = fold(rows.get(key), recorded)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row

    async def _read(self, partition: int, end: int) -> AsyncIterator[LoggedEvent]:
        position = 0
        while position < end:
            page = await self._events.follow(
                {partition: position}, limit=min(PAGE, end - position), categories=self._projection.categories
            )
            length = page.lengths.get(partition, 0)
            if not length or page.ends[partition].position != position + length:
                raise ValueError(f"the log has no event after position {position + length} of partition {partition}")
            for event in page.events:
                yield event
            position += length
            self._progress(length)
