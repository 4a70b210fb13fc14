"""How fast something goes at the moment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 10.0


class Pace:
    """Counts events, and forgets those of more than ten seconds ago.

    Args:
        now: seconds, by a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started = now()
        self._counts: deque[tuple[float, int]] = deque()

    def count(self, events: int) -> None:
        """Note that some more were done."""
        self._counts.append((self._now(), events))
        self._forget()

    def per_s(self) -> float:
        """Events in each second, on average over the last ten seconds, or since the start; 0 when there were none."""
        self._forget()
        elapsed = min(WINDOW_S, self._now() - self._started)
        return sum(events for _, events in self._counts) / elapsed if self._counts and elapsed else 0.0

    def _forget(self) -> None:
        while self._counts and self._counts[0][0] < self._now() - WINDOW_S:
            self._counts.popleft()
