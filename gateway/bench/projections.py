"""How fast a view is built from the log, and how soon it shows what was acknowledged."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from actors.domain.customer import CUSTOMER, Register, Rename
from actors.process import collect_garbage_rarely
from actors.runtime.ray_actors import connect
from actors.runtime.reference import ActorClient, Receipt
from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import positions_of
from actors.store.postgres import PostgresEventStore
from actors.store.token import TokenCodec
from gateway.bench.cpu import CpuTime
from gateway.bench.crowd import write_crowd
from gateway.bench.load import Load, closed_loop
from gateway.bench.loads import ProjectionLoad
from gateway.bench.report import Figure, Latencies, Report
from gateway.serve import Say, temporary_service
from projections.bulk import BATCH
from projections.customers import CUSTOMERS
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner
from projections.tables import RowTable
from projections.view_reader import ViewReader

PARTITIONS = 16
POLL_S = 0.02
VISIBLE_WITHIN_S = 30.0
BUILT_WITHIN_S = 600.0


async def bench_projections(load: ProjectionLoad, say: Say) -> Report:
    """Build a view in this process, then let all views follow a service that gets commands."""
    figures = [*await _rebuild(load, say), *await _follow(load, say)]
    return Report("projections", asdict(load), figures)


async def _rebuild(load: ProjectionLoad, say: Say) -> list[Figure]:
    collect_garbage_rarely()  # as the actors do
    async with _databases(say) as (events_url, views_url):
        events = load.customers * load.events_each
        say(f"writing {events} events")
        await write_crowd(events_url, PARTITIONS, load.customers, load.events_each)
        say("reading them")
        read_s = await _seconds(partial(_read, events_url))
        say("building the view of customers")
        build_s = await _seconds(partial(_build, events_url, views_url))
        say("copying its rows")
        rows, copy_s = await _copy(views_url)
    return [
        Figure(
            "rebuild of customers, one process",
            events / build_s,
            of_raw=(read_s + copy_s) / build_s,
            target="P5: 30,000 events/s",
        ),
        Figure("raw: the same events read, nothing else", events / read_s),
        Figure("raw: the resulting rows copied into an indexed table", rows / copy_s),
    ]


async def _follow(load: ProjectionLoad, say: Say) -> list[Figure]:
    async with temporary_service(say) as service, connect(by="bench") as client:
        log = await PostgresEventStore.open(service.databases.events_url, partitions=PARTITIONS)
        reader = ViewReader(service.databases.views_url, [CUSTOMERS])
        visible = Visible(reader, TokenCodec(log.info))
        say(f"registering {load.customers // 5} customers")
        await closed_loop(_registrations(client, load.customers // 5), load.concurrency)
        say(f"sending as many commands as are answered, for {load.seconds:.0f} s")
        cpu = CpuTime(service)
        with cpu.counted():
            busy, busy_lag = await _watched(visible, _renames(client, load, load.seconds), load.concurrency)
        say(f"sending {load.rate} commands a second, for {load.seconds:.0f} s")
        quiet_lag = await _steady(visible, client, load)
        await reader.close()
        await log.close()
    return [
        Figure(
            "commands/s with all projections",
            busy.per_s,
            busy.latencies,
            target="P2: 10,000/s",
            more=cpu.each_us(busy.done),
        ),
        Figure("acknowledged → visible, meanwhile", None, busy_lag, target="P2: p99 < 500 ms"),
        Figure(f"acknowledged → visible, at {load.rate} commands/s", None, quiet_lag, target="P6: p99 < 50 ms"),
    ]


class Visible:
    """Measures how long after its acknowledgement a command is in the view of customers."""

    def __init__(self, reader: ViewReader, tokens: TokenCodec) -> None:
        self._reader = reader
        self._tokens = tokens
        self.seconds: list[float] = []

    async def after(self, receipt: Receipt[Any]) -> None:
        """Wait until the view has it."""
        began = time.perf_counter()
        positions = positions_of(self._tokens.decode(receipt.token))
        if not await self._reader.wait_until(CUSTOMERS, positions, VISIBLE_WITHIN_S):
            raise TimeoutError("the view did not catch up")
        self.seconds.append(time.perf_counter() - began)

    def take(self) -> Latencies:
        """What was measured since the last time."""
        found, self.seconds = Latencies.of(self.seconds), []
        return found


Send = Callable[[], Awaitable[Receipt[Any]]]


async def _watched(visible: Visible, work: Iterator[Send], concurrency: int) -> tuple[Load, Latencies]:
    """A closed loop, and beside it one caller after the other who looks for what it was told."""
    last: list[Receipt[Any]] = []

    async def noted(send: Send) -> None:
        last[:] = [await send()]

    async def look() -> None:
        while True:
            if last:
                await visible.after(last[0])
            await asyncio.sleep(POLL_S)

    looking = asyncio.create_task(look())
    load = await closed_loop((partial(noted, send) for send in work), concurrency)
    looking.cancel()
    return load, visible.take()


async def _steady(visible: Visible, client: ActorClient, load: ProjectionLoad) -> Latencies:
    """An open loop: commands come at their times, whatever became of those before."""
    began, calls = time.perf_counter(), []

    async def call(send: Send) -> None:
        await visible.after(await send())

    for number, send in enumerate(_renames(client, load, load.seconds)):
        due = began + number / load.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        calls.append(asyncio.create_task(call(send)))
    await asyncio.gather(*calls)
    return visible.take()


def _registrations(client: ActorClient, customers: int) -> Iterator[Send]:
    for number in range(customers):
        command = Register(name=f"Customer {number}", email=f"c{number}@example.com")
        yield partial(client.actor(CUSTOMER, f"c{number}").execute, command)


def _renames(client: ActorClient, load: ProjectionLoad, seconds: float) -> Iterator[Send]:
    """One after the other, until the time is over."""
    actors = [client.actor(CUSTOMER, f"c{number}") for number in range(load.customers // 5)]
    end, number = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        yield partial(actors[number % len(actors)].execute, Rename(name=f"Customer, renamed {number}"))
        number += 1


async def _read(events_url: str) -> None:
    log = await PostgresEventStore.open(events_url, partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        position = 0
        while ends := (await log.follow({partition: position}, limit=BATCH, categories=CUSTOMERS.categories)).ends:
            position = ends[partition].position
    await log.close()


async def _build(events_url: str, views_url: str) -> None:
    """From the empty read database until the view is served."""

    async def no_news(_: Mapping[int, int]) -> None:
        await asyncio.get_running_loop().create_future()

    runner = ProjectionRunner(
        CUSTOMERS,
        partial(PostgresEventStore.open, events_url, partitions=PARTITIONS),
        partial(ReadStore.open, views_url),
        no_news,
    )
    log, reader = await PostgresEventStore.open(events_url, partitions=PARTITIONS), ViewReader(views_url, [CUSTOMERS])
    work = asyncio.create_task(runner.run())
    if not await reader.wait_until(CUSTOMERS, await log.heads(), BUILT_WITHIN_S):
        raise TimeoutError("the view was not built")
    work.cancel()
    await log.close()
    await reader.close()


async def _copy(views_url: str) -> tuple[int, float]:
    """The rows of the view into another table with the same indexes: how many, and in how many seconds."""
    connection = await asyncpg.connect(views_url)
    source = RowTable(CUSTOMERS.name, CUSTOMERS.row, (CUSTOMERS.key,))
    target = RowTable("copied", CUSTOMERS.row, (CUSTOMERS.key,), CUSTOMERS.indexes)
    records = [tuple(record) for record in await connection.fetch(source.all)]
    await connection.execute(target.create)
    began = time.perf_counter()
    await connection.copy_records_to_table(target.name, records=records)
    for statement in target.create_indexes:
        await connection.execute(statement)
    elapsed = time.perf_counter() - began
    await connection.close()
    return len(records), elapsed


async def _seconds(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


@asynccontextmanager
async def _databases(say: Say) -> AsyncIterator[tuple[str, str]]:
    """A log and a read database of their own, without a service."""
    with tempfile.TemporaryDirectory(prefix="rayleans-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder), say)
        await asyncio.to_thread(server.start)
        try:
            yield server.url("events"), server.url("views")
        finally:
            await asyncio.to_thread(server.stop)
