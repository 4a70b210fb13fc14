"""An event loop with a time of its own, for work that waits for nothing outside of it.

Its time passes only while there is nothing to do, so that what is measured by it says nothing of the machine.
"""

from __future__ import annotations

import asyncio
import selectors
from selectors import SelectorKey

from typing_extensions import override


class _Skips(selectors.DefaultSelector):
    """Does not wait: what it would have waited is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready:
            self.skipped_s += timeout or 0.0
        return ready


class OwnTime(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        self._skips = _Skips()
        super().__init__(self._skips)

    @override
    def time(self) -> float:
        return self._skips.skipped_s
