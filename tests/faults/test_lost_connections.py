"""The log goes away while commands are on their way to it: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from actors.errors import OutcomeUnknown, Unavailable
from actors.runtime.client import Client
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import PostgresEventStore
from tests.account import ACCOUNT
from tests.faults.history import History
from tests.in_process import LocalTransport, command, running_silos

CALLERS = 30
PATIENCE_S = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that the test may stop."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    yield server
    server.stop()


async def test_connection_of_the_silo_killed_again_and_again(server: EmbeddedPostgres) -> None:
    async with _under_load(server) as history:
        connection = await asyncpg.connect(server.url("events"))
        killed = 0
        while killed < 10:
            before = len(history.done)
            killed += await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE $1",
                "rayleans silo/0#%",
            )
            await history.grown_by(100, since=before)
        await connection.close()
    assert len(history.done) > 1000


async def test_postgres_restarted_under_load(server: EmbeddedPostgres) -> None:
    async with _under_load(server) as history:
        for _ in range(2):
            await history.grown_by(200, since=len(history.done))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        await history.grown_by(200, since=len(history.done))
    assert not history.unknown


@asynccontextmanager
async def _under_load(server: EmbeddedPostgres) -> AsyncIterator[History]:
    """Callers that deposit into accounts until the block ends; then their history is held against the log."""
    history, stop = History(), asyncio.Event()
    store = await PostgresEventStore.open(server.url("events"), partitions=4)
    async with running_silos(store, [ACCOUNT]) as silos:
        client = Client(LocalTransport(silos))
        await client.start()
        callers = [asyncio.create_task(_call(client, history, f"a{number}", stop)) for number in range(CALLERS)]
        yield history
        stop.set()
        await asyncio.gather(*callers)
    await history.check(store)
    await store.close()


async def _call(client: Client, history: History, key: str, stop: asyncio.Event) -> None:
    name, data = "open", '{"owner": "x"}'
    while not stop.is_set():
        envelope = command(name, data, key=key, patience_s=PATIENCE_S)
        try:
            history.add(envelope.command_id, await client.submit(envelope))
        except Unavailable:
            history.refused.add(envelope.command_id)
        except OutcomeUnknown:
            history.unknown.add(envelope.command_id)
        name, data = "deposit", '{"amount": 1}'
