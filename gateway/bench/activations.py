"""How long an actor takes to wake up, how many can in a second, and what one costs that is awake and idle.

Without Ray: a silo in this process, or in one of its own, on a log that is full already.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import asyncpg

from actors.domain.customer import CUSTOMER
from actors.runtime.silo import Silo, SiloLimits
from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import stream_name
from actors.store.postgres import PostgresEventStore
from actors.store.sql_files import load_queries
from gateway.bench.crowd import write_crowd
from gateway.bench.idle import BATCH, CALLS, Idle, wake_all
from gateway.bench.load import Load, Work, closed_loop
from gateway.bench.loads import ActivationLoad
from gateway.bench.lone_silo import LOOK_INTERVAL_S, PARTITIONS, lone_silo, rouse
from gateway.bench.report import Figure, Report
from gateway.serve import Say

GIB = 1024**3
NEVER = 10**9

# Each command puts the actor of the one before to sleep, so that every one wakes an actor.
FORGETFUL = SiloLimits(activations=1, snapshot_every=NEVER, snapshot_on_sleep=NEVER)

_SQL = load_queries("actors.store", "snapshots.sql")


async def bench_activations(load: ActivationLoad, say: Say) -> Report:
    """Run the load against a PostgreSQL of its own in a temporary directory."""
    async with _temporary_log() as url:
        say(f"writing {load.customers} customers with {load.events} events each")
        await write_crowd(url, PARTITIONS, load.customers, load.events)
        say(f"writing {load.long} customers with {load.long_events} events each")
        await write_crowd(url, PARTITIONS, load.long, load.long_events, "long")
        say("waking customers together")
        idle = await wake_all(url, "crowd", load.customers)
        raw = await _raw_reads(url, load.customers)
        say("waking customers one at a time")
        whole, kept, awake = await _wake_singly(url, load)
    return Report("activations", asdict(load), _figures(load, idle, raw, whole, kept, awake))


def _figures(load: ActivationLoad, idle: Idle, raw: Load, whole: Load, kept: Load, awake: Load) -> Sequence[Figure]:
    added = kept.latencies.p99_ms - awake.latencies.p99_ms
    return [
        Figure("wake many", idle.per_s, of_raw=idle.per_s / raw.per_s, target="P7: 5,000/s"),
        Figure("raw reads of their rows", raw.per_s),
        Figure(
            "wake one by its snapshot",
            latencies=kept.latencies,
            target="P7: p99 < 5 ms added",
            more={"p99 added ms": round(added, 3)},
        ),
        Figure(f"wake one by {load.long_events} events", latencies=whole.latencies),
        Figure("find one awake", latencies=awake.latencies),
        Figure(
            "idle actors",
            target="P8: 100,000 per GiB",
            more={"bytes each": round(idle.bytes_each), "actors per GiB": int(GIB / idle.bytes_each)},
        ),
    ]


async def _wake_singly(url: str, load: ActivationLoad) -> tuple[Load, Load, Load]:
    """By all events, by a snapshot, and those that are awake already."""
    keys = [f"long-{number}" for number in range(load.long)]
    async with lone_silo(url, FORGETFUL) as silo:
        whole = await closed_loop(_singly(silo, keys, load.rounds), 1)
    async with lone_silo(url, SiloLimits(snapshot_every=1)) as silo:
        await rouse(silo, keys)
        await _until_all_kept(url, keys)
        awake = await closed_loop(_singly(silo, keys, load.rounds), 1)
    async with lone_silo(url, FORGETFUL) as silo:
        kept = await closed_loop(_singly(silo, keys, load.rounds), 1)
    return whole, kept, awake


def _singly(silo: Silo, keys: Sequence[str], rounds: int) -> Iterator[Work]:
    return (partial(rouse, silo, [key]) for _ in range(rounds) for key in keys)


async def _until_all_kept(url: str, keys: Sequence[str]) -> None:
    store = await PostgresEventStore.open(url, partitions=PARTITIONS)
    schemas = {stream_name(CUSTOMER.category, key): CUSTOMER.state_schema for key in keys}
    while True:
        histories = await store.read_histories(schemas)
        if all(history.snapshot is not None for history in histories.values()):
            break
        await asyncio.sleep(LOOK_INTERVAL_S)
    await store.close()


async def _raw_reads(url: str, customers: int) -> Load:
    """The query that wakes them, and nothing done with its rows."""
    streams = [stream_name(CUSTOMER.category, f"crowd-{number}") for number in range(customers)]
    connections = await asyncpg.create_pool(url, min_size=CALLS, max_size=CALLS)
    reads = (
        partial(connections.fetch, _SQL["read_histories"], batch, [CUSTOMER.state_schema] * len(batch))
        for batch in (streams[start : start + BATCH] for start in range(0, customers, BATCH))
    )
    began = time.perf_counter()
    loaded = await closed_loop(reads, CALLS)
    await connections.close()
    return Load(customers, time.perf_counter() - began, loaded.latencies)


@asynccontextmanager
async def _temporary_log() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="rayleans-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder))
        await asyncio.to_thread(server.start)
        try:
            yield server.url("events")
        finally:
            await asyncio.to_thread(server.stop)
