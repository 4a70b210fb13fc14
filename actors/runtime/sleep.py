"""Puts actors to sleep when nobody needs them: after a while, or when the silo needs too much memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import psutil

from actors.runtime.activation import Activations

log = logging.getLogger(__name__)

SWEEP_INTERVAL_S = 1.0
MOST_AT_ONCE = 500
SHARE_LEFT = 0.75
STEP_OF_GROWTH = 1.05


def memory_of_process() -> int:
    """Bytes that this process holds."""
    held: int = psutil.Process().memory_info().rss
    return held


class Sleep:
    """Sweeps over the activations of a silo from time to time.

    Memory is measured and not estimated, because states are not our code. Python seldom gives it back, but uses it
    again: so too much of it lowers the bound of activations by a quarter, and again only when it has grown further.

    Args:
        silo: name for the log of messages.
        idle_s: how long an actor may be unused.
        most_memory: bytes that the process may hold.
        now: the clock of the activations.
        memory: bytes that the process holds.
    """

    def __init__(
        self,
        silo: str,
        activations: Activations[Any],
        idle_s: float,
        most_memory: int,
        now: Callable[[], float],
        memory: Callable[[], int] = memory_of_process,
    ) -> None:
        self._silo = silo
        self._activations = activations
        self._bound = activations.bound
        self._idle_s = idle_s
        self._most_memory = most_memory
        self._tolerated = most_memory
        self._now = now
        self._memory = memory

    async def run(self) -> NoReturn:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Put all to sleep that should, a few at a time, so that commands need not wait."""
        await self._deactivate("idle", partial(self._activations.deactivate_unused, self._now() - self._idle_s))
        self._heed_memory()
        await self._deactivate("too many", self._activations.deactivate_surplus)

    def _heed_memory(self) -> None:
        held = self._memory()
        if held > self._tolerated:
            self._tolerated = int(held * STEP_OF_GROWTH)
            self._activations.bound = int(min(self._activations.bound, len(self._activations)) * SHARE_LEFT)
            log.warning(
                "too much memory, so fewer actors stay awake",
                extra={"silo": self._silo, "bytes": held, "actors": self._activations.bound},
            )
        elif held <= self._most_memory:
            self._tolerated = self._most_memory
            self._activations.bound = self._bound

    async def _deactivate(self, reason: str, some: Callable[[int], int]) -> None:
        gone = 0
        while went := some(MOST_AT_ONCE):
            gone += went
            await asyncio.sleep(0)
        if gone:
            log.info("put actors to sleep", extra={"silo": self._silo, "actors": gone, "reason": reason})
