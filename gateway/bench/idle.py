"""What actors cost that are awake and have nothing to do: measured in a process that does nothing else."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import uvloop

from actors.process import collect_garbage_rarely
from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.sleep import memory_of_process
from gateway.bench.lone_silo import lone_silo, rouse

BATCH = 500
CALLS = 2
WARM_UP = 2_000


@dataclass(frozen=True, slots=True)
class Idle:
    """What waking so many actors took, and what it left behind."""

    actors: int
    elapsed_s: float
    bytes: int

    @property
    def per_s(self) -> float:
        return self.actors / self.elapsed_s

    @property
    def bytes_each(self) -> float:
        return self.bytes / self.actors


async def wake_all(events_url: str, name: str, actors: int) -> Idle:
    """Wake customers `name-0`, `name-1` … and let them be idle, in a new process.

    A few thousand more, which are woken before, leave behind what the first ones need and the others do not.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(process, _there, events_url, name, actors)


def _there(events_url: str, name: str, actors: int) -> Idle:
    return uvloop.run(_wake_all(events_url, [f"{name}-{number}" for number in range(actors)]))


async def _wake_all(events_url: str, keys: Sequence[str]) -> Idle:
    collect_garbage_rarely()
    async with lone_silo(events_url, SiloLimits(activations=len(keys), memory=2**62)) as silo:
        first, others = keys[:WARM_UP], keys[WARM_UP:]
        await _wake(silo, first)
        before, began = _memory(), time.perf_counter()
        await _wake(silo, others)
        elapsed_s = time.perf_counter() - began
        return Idle(len(others), elapsed_s, _memory() - before)


async def _wake(silo: Silo, keys: Sequence[str]) -> None:
    starts = iter(range(0, len(keys), BATCH))

    async def call() -> None:
        for start in starts:
            await rouse(silo, keys[start : start + BATCH])

    await asyncio.gather(*(call() for _ in range(CALLS)))


def _memory() -> int:
    gc.collect()
    return memory_of_process()
