"""A span for each event that a view has folded, in the trace of the command that led to it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from actors import spans
from actors.store.event_store import EventStore, RecordedEvent
from projections.projection import AnyProjection

PAGE = 256  # events of each partition


class FoldSpans:
    """The spans of one projection; nothing when nobody wants them."""

    def __init__(self, projection: AnyProjection) -> None:
        self._name = projection.name
        self._categories = projection.categories
        self._wanted = spans.wanted()
        self._began_ns = 0

    def begin(self) -> None:
        """A round begins: events are there and will be folded."""
        self._began_ns = time.time_ns()

    async def tell(self, log: EventStore, before: Mapping[int, int], after: Mapping[int, int]) -> None:
        """What lies between these positions is in the view now. The log is asked, because folds need no metadata."""
        at = dict(before)
        while self._wanted:
            events = await log.read_partitions(at, limit=PAGE)
            folded = [event for event in events if event.position <= after[event.partition]]
            if not folded:
                return
            for event in folded:
                at[event.partition] = event.position
                self._tell(event)

    def _tell(self, event: RecordedEvent) -> None:
        if event.category in self._categories:
            place: spans.Attributes = {
                "rayleans.projection": self._name,
                "rayleans.partition": event.partition,
                "rayleans.position": event.position,
            }
            spans.event_span("fold", event.metadata, self._began_ns, place)
