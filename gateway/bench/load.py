"""Callers that always wait for an answer before they ask again: the load of a closed loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gateway.bench.report import Latencies

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to."""

    done: int
    elapsed_s: float
    latencies: Latencies

    @property
    def per_s(self) -> float:
        return self.done / self.elapsed_s


async def closed_loop(work: Iterable[Work], concurrency: int) -> Load:
    """Do all of `work`, at least one piece, so many at a time; each ends before its caller takes the next."""
    pieces = iter(work)
    durations: list[float] = []

    async def call() -> None:
        for piece in pieces:
            began = time.perf_counter()
            await piece()
            durations.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(concurrency)))
    return Load(len(durations), time.perf_counter() - began, Latencies.of(durations))
