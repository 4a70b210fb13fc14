"""Tells in the read database what a runner does: about once in a second, and at once when it stops."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from actors.store.event_store import EventStore
from projections.pace import Pace
from projections.read_store import ReadStore, RunnerReport

INTERVAL_S = 1.0


class Reporter:
    """The reports of one runner.

    Args:
        building, share: see `RunnerReport`.
    """

    def __init__(self, name: str, *, building: bool, share: int) -> None:
        self.pace = Pace()
        self._name = name
        self._building = building
        self._share = share
        self._told = -INTERVAL_S
        self._last: RunnerReport | None = None

    @property
    def is_due(self) -> bool:
        """Whether the last report is old."""
        return time.monotonic() - self._told >= INTERVAL_S

    async def tell(
        self, views: ReadStore, version: int, lag_events: int = 0, lag_seconds: float = 0.0, error: str | None = None
    ) -> None:
        """Report at once."""
        self._told = time.monotonic()
        per_s = self.pace.per_s()
        report = RunnerReport(self._building, self._share, version, os.getpid(), per_s, lag_events, lag_seconds, error)
        self._last = report
        await views.report(self._name, report)

    async def tell_again(self, views: ReadStore) -> None:
        """Report what was reported last, if anything was."""
        if self._last is not None:
            await views.report(self._name, self._last)

    async def tell_lag(
        self, views: ReadStore, events: EventStore, version: int, checkpoint: Mapping[int, int], error: str | None
    ) -> None:
        """Report at once how far a version is behind the log."""
        heads = await events.heads()
        missing = sum(heads.get(partition, 0) - position for partition, position in checkpoint.items())
        oldest = [event.recorded_at for event in await events.read_partitions(checkpoint, limit=1)]
        seconds = max(0.0, (datetime.now(UTC) - min(oldest)).total_seconds()) if oldest else 0.0
        await self.tell(views, version, missing, seconds, error)

    async def tell_until_orders(
        self, views: ReadStore, events: EventStore, version: int, checkpoint: Mapping[int, int], error: str | None
    ) -> None:
        """Do nothing but report, until somebody orders something."""
        while not views.orders.is_set():
            await self.tell_lag(views, events, version, checkpoint, error)
            await views.wait_for_orders(INTERVAL_S)
