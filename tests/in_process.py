"""Silos and a client in this process, without Ray: everything else is real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

from actors.domain.decider import AnyDecider
from actors.runtime.client import Client
from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Layout, SiloStatus
from actors.store.event_store import Deposed, EventStore


class LocalTransport:
    """Bytes to silos of this process."""

    def __init__(self, silos: Sequence[Silo]) -> None:
        self._silos = silos

    async def execute(self, silo: int, blob: bytes) -> bytes:
        return await self._silos[silo].execute(blob)

    async def layout(self) -> Layout | None:
        return self._silos[0].layout

    async def status(self, silo: int) -> SiloStatus:
        return self._silos[silo].status


@asynccontextmanager
async def running_silos(
    store: EventStore,
    deciders: Sequence[AnyDecider],
    *,
    silos: int = 1,
    limits: SiloLimits | None = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[list[Silo]]:
    """Silos that work until the block ends."""

    async def open_store() -> EventStore:
        return store

    started = [Silo(index, silos, deciders, open_store, limits=limits, now=now) for index in range(silos)]
    work = [asyncio.create_task(silo.run()) for silo in started]
    while any(silo.status.trouble for silo in started):
        await asyncio.wait(work, timeout=0.001)
    try:
        yield started
    finally:
        for task in work:
            task.cancel()
        for task in work:
            with suppress(asyncio.CancelledError, Deposed):
                await task


@asynccontextmanager
async def running_client(store: EventStore, deciders: Sequence[AnyDecider], *, silos: int = 1) -> AsyncIterator[Client]:
    """A client of silos that work until the block ends."""
    async with running_silos(store, deciders, silos=silos) as started:
        client = Client(LocalTransport(started))
        await client.start()
        yield client


def command(
    name: str,
    data: str = "{}",
    *,
    key: str = "ada",
    category: str = "account",
    command_id: UUID | None = None,
    expected_version: int | None = None,
    patience_s: float = 5.0,
) -> CommandEnvelope:
    """A command on its way to an account."""
    return CommandEnvelope(
        category=category,
        key=key,
        command=name,
        data=data,
        command_id=command_id or uuid4(),
        expected_version=expected_version,
        deadline=time.time() + patience_s,
        by="test",
        request_id="",
    )
