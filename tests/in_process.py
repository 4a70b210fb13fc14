"""Silos and a client in this process, without Ray: everything else is real."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

from typing_extensions import override

from actors.domain.decider import AnyDecider
from actors.runtime.client import Client
from actors.runtime.home import Address, Home, HomeLost, Homes
from actors.runtime.own_home import Resident
from actors.runtime.placement import IDLE_S, OwnHomes, Placement
from actors.runtime.silo import PROMPT_S, Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Layout, SiloStatus
from actors.store.event_store import Deposed, EventStore, split_stream


class LocalHome(Home):
    """A home of this process, with real turns through the same bytes. Tests stop and break it."""

    def __init__(self, resident: Resident, closed: Callable[[], None]) -> None:
        self.resident = resident
        self._closed = closed
        self.rounds = 0
        self.before_turns: Callable[[], Awaitable[object]] | None = None
        self.after_turns: Callable[[], Awaitable[None]] | None = None

    @property
    @override
    def address(self) -> Address:
        return Address(os.getpid(), "here")

    @override
    async def take_turns(self, blob: bytes) -> bytes:
        """As in a process of its own: it works on, also when nobody waits any longer."""
        return await asyncio.shield(asyncio.get_running_loop().create_task(self._take_turns(blob)))

    async def _take_turns(self, blob: bytes) -> bytes:
        self.rounds += 1
        if self.before_turns is not None:
            await self.before_turns()
        reply = self.resident.take_turns(blob)
        if self.after_turns is not None:
            await self.after_turns()
        return reply

    @override
    async def close(self) -> None:
        self._closed()


class LocalHomes(Homes):
    """Homes of this process.

    Attributes:
        open_now: those that are open, by stream.
        opened: how many were opened, by stream.
        at_the_door: how many are being opened.
        door: closed, homes are opened only when it is set.
    """

    def __init__(self, deciders: Sequence[AnyDecider]) -> None:
        self._deciders = {decider.category: decider for decider in deciders}
        self.open_now: dict[str, LocalHome] = {}
        self.opened: Counter[str] = Counter()
        self.door = asyncio.Event()
        self.door.set()
        self.at_the_door = 0
        self.full = False

    @override
    async def open(self, stream: str, partition: int) -> Home:
        self.at_the_door += 1
        await self.door.wait()
        self.at_the_door -= 1
        if self.full:
            raise HomeLost("there is no room")
        assert stream not in self.open_now, "two homes of one actor"
        resident = Resident(self._deciders[split_stream(stream)[0]], stream, partition)
        self.open_now[stream] = LocalHome(resident, lambda: self._close(stream))
        self.opened[stream] += 1
        return self.open_now[stream]

    def _close(self, stream: str) -> None:
        del self.open_now[stream]


class LocalTransport:
    """Bytes to silos of this process."""

    def __init__(self, silos: Sequence[Silo]) -> None:
        self._silos = silos

    async def execute(self, silo: int, blob: bytes) -> bytes:
        return await self._silos[silo].execute(blob, PROMPT_S)

    async def rest(self, silo: int, ticket: int) -> bytes:
        return await self._silos[silo].rest(ticket, PROMPT_S)

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
    placement: Placement = Placement.SHARED,
    homes: Homes | None = None,
    most_homes: int = 8,
    idle_s: float = IDLE_S,
) -> AsyncIterator[list[Silo]]:
    """Silos that work until the block ends; with a placement, some of their actors in `homes`."""
    homes = homes or LocalHomes(deciders)

    async def open_store() -> EventStore:
        return store

    own_homes = [
        OwnHomes(placement, homes, 0 if placement is Placement.SHARED else most_homes, idle_s=idle_s)
        for _ in range(silos)
    ]
    started = [
        Silo(index, silos, deciders, open_store, 0, limits=limits, now=now, own_homes=own_homes[index])
        for index in range(silos)
    ]
    work = [asyncio.create_task(silo.run()) for silo in started]
    while any(silo.status.trouble for silo in started):
        await asyncio.wait(work, timeout=0.001)
    try:
        yield started
    finally:
        for each in own_homes:
            await each.close()
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
