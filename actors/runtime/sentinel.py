"""Somebody must notice a silo that stands still: Ray sees processes that end, and no others.

A paused, swapped-out or stuck process keeps its calls waiting for ever. So each silo is probed; one that is silent
for too long is put out and started anew. That is safe at any time, also when it was only slow: the log knows who
owns its partitions, and the former owner writes and answers nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from actors.runtime.lane import Lost, NotSent

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a silo may be silent.

    With these, a pause of less than four seconds is never taken for more, and one of six always is.

    Attributes:
        interval_s: between an answer and the next probe.
        timeout_s: for one answer.
        misses: in a row, until a silo is replaced.
        misses_at_start: the same for one that has just been started, or that Ray is starting anew.
    """

    interval_s: float = 0.5
    timeout_s: float = 1.0
    misses: int = 3
    misses_at_start: int = 30


class Sentinel:
    """Probes one silo for ever, and replaces it when it stands still.

    Args:
        name: of the silo, for people.
        probe: asks it anything; raises `Lost` when it has ended, `NotSent` when it is not there.
        replace: puts it out, if it is there, and starts it anew.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[object]],
        replace: Callable[[], Awaitable[None]],
        patience: Patience | None = None,
    ) -> None:
        self._name = name
        self._probe = probe
        self._replace = replace
        self._patience = patience or Patience()
        self._misses_left = self._patience.misses_at_start

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._look()
            if not self._misses_left:
                log.error("a silo stands still and is replaced", extra={"silo": self._name})
                self._misses_left = self._patience.misses_at_start
                await self._put_another_there()
            await asyncio.sleep(self._patience.interval_s)

    async def _put_another_there(self) -> None:
        try:
            await self._replace()
        except Exception:
            log.exception("a silo could not be replaced", extra={"silo": self._name})

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(self._patience.timeout_s):
                await self._probe()
        except (TimeoutError, NotSent):
            self._misses_left -= 1
        except Lost:
            # Its process has ended, which Ray has seen.
            self._misses_left = self._patience.misses_at_start
        except Exception:
            # Whoever watches has to go on, whatever Ray may raise.
            log.exception("a silo could not be probed", extra={"silo": self._name})
            self._misses_left -= 1
        else:
            self._misses_left = self._patience.misses
