"""A log in memory and runners in this process; the read database is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg

from actors.store.event_store import EventStore, NewEvent, partition_of
from actors.store.memory import MemoryEventStore
from projections.builder import Helpers
from projections.parking import Decided, ParkedEvent
from projections.projection import AnyProjection, Projection
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner
from projections.share import WHOLE, Share
from projections.status import ProjectionStatus
from projections.steering import Decision, Order, Steering
from projections.view_audit import ViewAudit, audit_view
from projections.view_reader import ViewReader
from tests.account_domain import ACCOUNTS

PARTITIONS = 4


class Log:
    """Writes events as a silo would, and tells who waits for them."""

    def __init__(self, category: str = "account") -> None:
        self.store = MemoryEventStore(partitions=PARTITIONS)
        self._category = category
        self._versions: dict[str, int] = {}
        self._written = asyncio.Event()

    async def write(self, *events: tuple[str, str, str]) -> dict[int, int]:
        """Append events, each as key, type and data. Returns how far the log is then."""
        session = await self.store.take_over("silo/0", range(PARTITIONS), 0)
        await session.append([self._new(*event) for event in events])
        self._written.set()
        return dict(await self.store.heads())

    async def forget_last(self, key: str) -> None:
        """Restore the log from a backup that had not the last event of the partition, which is one of `key`."""
        heads = await self.store.heads()
        self.store.restore({**heads, self.partition(key): heads[self.partition(key)] - 1})
        self._versions[f"{self._category}-{key}"] -= 1

    async def open(self) -> EventStore:
        return self.store

    async def wait_beyond(self, checkpoint: Mapping[int, int]) -> None:
        while not any(head > checkpoint[each] for each, head in (await self.store.heads()).items()):
            self._written.clear()
            await self._written.wait()

    def partition(self, key: str) -> int:
        return partition_of(f"{self._category}-{key}", PARTITIONS)

    def _new(self, key: str, type_: str, data: str) -> NewEvent:
        stream = f"{self._category}-{key}"
        self._versions[stream] = self._versions.get(stream, 0) + 1
        return NewEvent(self.partition(key), stream, self._versions[stream], type_, data, "{}", uuid4(), 0, None)


class Running:
    """Runs projections on a log."""

    def __init__(self, log: Log, views_url: str) -> None:
        self._log = log
        self._views_url = views_url

    @asynccontextmanager
    async def __call__(
        self,
        projection: AnyProjection = ACCOUNTS,
        *,
        open_log: Callable[[], Awaitable[EventStore]] | None = None,
        open_views: Callable[[], Awaitable[ReadStore]] | None = None,
        share: Share = WHOLE,
        helpers: Helpers | None = None,
    ) -> AsyncIterator[Steered]:
        """A runner that works until the block ends."""
        runner = ProjectionRunner(
            projection,
            open_log or self._log.open,
            open_views or (lambda: ReadStore.open(self._views_url)),
            self._log.wait_beyond,
            share=share,
            helpers=helpers,
        )
        work = asyncio.create_task(runner.run())
        try:
            yield Steered(self._views_url, projection)
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


class Steered:
    """One projection, as operators see it."""

    def __init__(self, views_url: str, projection: AnyProjection) -> None:
        self.name = projection.name
        self.steering = Steering(views_url, [projection])

    async def status(self) -> ProjectionStatus:
        return await self.steering.status(self.name)

    async def order(self, order: Order) -> ProjectionStatus:
        return await self.steering.order(self.name, order)

    async def decide(self, parked_id: int, decision: Decision) -> Decided:
        return await self.steering.decide(self.name, parked_id, decision)

    async def parked(self) -> Sequence[ParkedEvent]:
        return await self.steering.parked(self.name, 100)

    async def becomes(self, state: str, *, version: int | None = None) -> ProjectionStatus:
        """Wait until it is in a state."""
        return await self.until(lambda status: status.state == state and version in {None, status.version})

    async def until(self, there: Callable[[ProjectionStatus], bool]) -> ProjectionStatus:
        while not there(status := await self.status()):
            pass
        return status


async def audited(log: Log, views_url: str, projection: AnyProjection = ACCOUNTS) -> ViewAudit:
    """What `rayleans verify views` says of a view."""

    async def open_log(_: int) -> EventStore:
        return log.store

    connection = await asyncpg.connect(views_url)
    try:
        return await audit_view(projection, connection, open_log)
    finally:
        await connection.close()


async def rows(reader: ViewReader, projection: Projection[Any] = ACCOUNTS) -> Sequence[Any]:
    """The rows of a view, in order of key."""
    return (await reader.page(projection, after=None, limit=100)).value


async def balances(views_url: str) -> list[tuple[str, int, int]]:
    """The tally of accounts: owner, accounts, balance."""
    connection = await asyncpg.connect(views_url)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT owner, accounts, balance FROM balances")]
    finally:
        await connection.close()
