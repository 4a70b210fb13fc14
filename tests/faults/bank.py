"""A bank under load: silos of this process on a log, callers that never stop, and the check of what they saw."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from actors.runtime.client import Client
from actors.runtime.lane import Lost, NotSent
from actors.runtime.placement import OwnHomes
from actors.runtime.silo import PROMPT_S, Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Done, Layout, SiloStatus
from actors.store.event_store import EventStore
from actors.store.log_scan import LogScan
from actors.store.postgres import PostgresEventStore
from actors.store.postgres_scan import scan_log
from tests.account import ACCOUNT, Account
from tests.faults.checker import check
from tests.faults.history import History, callers
from tests.in_process import command

PARTITIONS = 4
CALLERS = 30
ACCOUNTS = 20
PATIENCE_S = 20.0

OpenStore = Callable[[], Awaitable[EventStore]]


class Machine:
    """A silo that can be killed: whoever waits for it gets no answer, and what it knew is gone.

    Attributes:
        silo: the present one.
        kills: how often it was killed.
    """

    def __init__(self, start: Callable[[], Silo]) -> None:
        self._start = start
        self.kills = 0
        self._boot()

    def _boot(self) -> None:
        self.silo = self._start()
        self._work = asyncio.create_task(self.silo.run())
        self._dead = asyncio.get_running_loop().create_future()
        self._work.add_done_callback(partial(_set, self._dead))

    @property
    def alive(self) -> bool:
        return not self._dead.done()

    async def owning(self) -> None:
        """Wait until it owns its partitions, or is dead."""
        while self.alive and self.silo.status.trouble:
            await asyncio.wait([self._work], timeout=0.001)

    async def execute(self, blob: bytes) -> bytes:
        """As `Silo.execute`. Raises `Lost` when it dies meanwhile."""
        return await self._call(lambda: self.silo.execute(blob, PROMPT_S))

    async def rest(self, ticket: int) -> bytes:
        """As `Silo.rest`. Raises `Lost` when it dies meanwhile."""
        return await self._call(lambda: self.silo.rest(ticket, PROMPT_S))

    async def _call(self, begin: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        dead = self._dead
        if dead.done():
            raise NotSent("it is dead")
        answer = asyncio.create_task(begin())
        await asyncio.wait([answer, dead], return_when=asyncio.FIRST_COMPLETED)
        if not dead.done():
            return answer.result()
        answer.cancel()
        raise Lost("it died")

    async def kill(self) -> None:
        """Now, in whatever it is doing."""
        self.kills += 1
        await self._end()

    async def restart(self) -> None:
        """Kill it, and start it anew as Ray does."""
        await self.kill()
        self._boot()

    async def _end(self) -> None:
        _set(self._dead)
        session = self.silo._ownership.session
        self._work.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._work
        if session is not None:
            await session.close()


class MachineTransport:
    """Bytes to silos that may die."""

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines
        self.lost = 0

    async def execute(self, silo: int, blob: bytes) -> bytes:
        try:
            return await self._machines[silo].execute(blob)
        except Lost:
            self.lost += 1
            raise

    async def rest(self, silo: int, ticket: int) -> bytes:
        return await self._machines[silo].rest(ticket)

    async def layout(self) -> Layout | None:
        return self._machines[0].silo.layout

    async def status(self, silo: int) -> SiloStatus:
        return self._machines[silo].silo.status


@dataclass
class Bank:
    """A running bank.

    Attributes:
        machines: where its silos run.
        submit: sends one command.
    """

    history: History
    machines: list[Machine]
    transport: MachineTransport
    submit: Callable[[CommandEnvelope], Awaitable[Done]]

    def load(
        self, number: int = CALLERS, *, accounts: int = ACCOUNTS, seed: int = 0
    ) -> AbstractAsyncContextManager[None]:
        """Callers that deposit and withdraw until the block ends."""
        chance = random.Random(seed)  # noqa: S311 - no secret

        async def call(caller: int) -> None:
            await self.history.send(self.submit, any_command(chance, f"a{caller % accounts}"))

        return callers(call, number)


def any_command(chance: random.Random, key: str, patience_s: float = PATIENCE_S) -> CommandEnvelope:
    """A command for an account; some are refused, some are already true."""
    name, data = chance.choice(
        [
            ("open", '{"owner": "x"}'),
            ("found", '{"owner": "x", "amount": 3}'),
            ("deposit", '{"amount": 2}'),
            ("deposit", '{"amount": 1}'),
            ("withdraw", '{"amount": 2}'),
            ("withdraw", '{"amount": 4}'),
        ]
    )
    expected = 2 if chance.random() < 0.05 else None
    return command(name, data, key=key, expected_version=expected, patience_s=patience_s)


@asynccontextmanager
async def running_bank(
    open_store: OpenStore,
    scan: Callable[[], AbstractAsyncContextManager[LogScan]],
    *,
    silos: int = 1,
    limits: SiloLimits | None = None,
    own_homes: Callable[[], OwnHomes | None] = lambda: None,
    expect: Callable[[list[str]], None] | None = None,
) -> AsyncIterator[Bank]:
    """A bank that works until the block ends; then its history is held against the log.

    Args:
        own_homes: of each silo that starts.
        expect: is given what the check found; None = it must be nothing.
    """

    def start(index: int) -> Callable[[], Silo]:
        return lambda: Silo(index, silos, [ACCOUNT], open_store, 0, limits=limits, own_homes=own_homes())

    machines = [Machine(start(index)) for index in range(silos)]
    transport = MachineTransport(machines)
    history = History()
    client = Client(transport)
    bank = Bank(history, machines, transport, client.submit)
    try:
        yield bank
    finally:
        for machine in machines:
            await machine._end()
    async with scan() as log:
        problems = await check(history, log, [ACCOUNT], law=never_below_zero)
    if expect is not None:
        expect(problems)
        return
    assert not problems, "\n".join(problems[:20])


@asynccontextmanager
async def postgres_bank(
    url: str,
    *,
    silo_url: str | None = None,
    wrap: Callable[[EventStore], EventStore] = lambda store: store,
    silos: int = 1,
    limits: SiloLimits | None = None,
) -> AsyncIterator[Bank]:
    """A bank on a PostgreSQL database.

    Args:
        silo_url: the way of the silos to it, when that is another one.
        wrap: makes their store a worse one.
    """
    stores: list[EventStore] = []

    async def open_store() -> EventStore:
        store = await PostgresEventStore.open(silo_url or url, partitions=PARTITIONS)
        stores.append(store)
        return wrap(store)

    try:
        async with running_bank(open_store, lambda: scan_log(url), silos=silos, limits=limits) as bank:
            yield bank
    finally:
        for store in stores:
            await store.close()


def _set(future: asyncio.Future[None], *_: object) -> None:
    if not future.done():
        future.set_result(None)


def never_below_zero(account: Account) -> bool:
    """The law of the bank."""
    return account.balance >= 0
