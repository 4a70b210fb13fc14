"""The log goes away while commands are on their way to it: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import psutil
import pytest

from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import StoreUnavailable, WriteSession
from actors.store.postgres import PostgresEventStore
from actors.store.postmaster import processes_of
from tests.faults.bank import PARTITIONS, postgres_bank
from tests.faults.checker import check_recovery
from tests.faults.proxy import postgres_proxy

OF_SILO = "FROM pg_stat_activity WHERE application_name LIKE 'rayleans silo/0#%'"
PUT_OUT_SILO = f"SELECT pg_terminate_backend(pid) {OF_SILO}"
BACKEND_OF_SILO = f"SELECT pid {OF_SILO}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that the tests may stop."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("faults"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def url(server: EmbeddedPostgres) -> str:
    """An empty log on it."""
    connection = await asyncpg.connect(server.url("postgres"))
    await connection.execute("DROP DATABASE events WITH (FORCE)")
    await connection.execute("CREATE DATABASE events")
    await connection.close()
    return server.url("events")


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.long)])
async def test_f17_connection_of_the_silo_killed_again_and_again(url: str, times: int) -> None:
    async with postgres_bank(url) as bank, bank.load():
        await bank.history.more(100)
        connection = await asyncpg.connect(url)
        for _ in range(times):
            with bank.history.fault("connection killed"):
                assert await connection.fetch(PUT_OUT_SILO)
            await bank.history.more(50)
        await connection.close()
    for fault in bank.history.faults:
        assert not check_recovery(bank.history, fault, within_s=5, overlapping=10)


async def test_f15_postgres_restarted(url: str, server: EmbeddedPostgres) -> None:
    async with postgres_bank(url) as bank, bank.load():
        await bank.history.more(200)
        with bank.history.fault("restart") as fault:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        await bank.history.more(200)
    assert not check_recovery(bank.history, fault, within_s=10, overlapping=30)
    assert not bank.history.unknown


async def test_f16_one_backend_killed_so_that_all_sessions_are_reset(url: str, server: EmbeddedPostgres) -> None:
    """PostgreSQL cannot trust its shared memory after that, and recovers from a crash."""
    async with postgres_bank(url) as bank, bank.load():
        await bank.history.more(200)
        with bank.history.fault("backend killed") as fault:
            connection = await asyncpg.connect(url)
            psutil.Process(await connection.fetchval(BACKEND_OF_SILO)).kill()
            connection.terminate()
        await bank.history.more(200)
    assert not check_recovery(bank.history, fault, within_s=15, overlapping=30)


async def test_f16_postmaster_killed(url: str, server: EmbeddedPostgres) -> None:
    async with postgres_bank(url) as bank, bank.load():
        await bank.history.more(200)
        with bank.history.fault("postmaster killed") as fault:
            processes_of(server._cluster)[0].kill()
            await asyncio.to_thread(server.start)
        await bank.history.more(200)
    assert not check_recovery(bank.history, fault, within_s=15, overlapping=30)


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.long)])
async def test_f17_connection_reset(events_url: str, times: int) -> None:
    async with postgres_proxy(events_url) as proxy, postgres_bank(events_url, silo_url=proxy.url) as bank, bank.load():
        for _ in range(times):
            await bank.history.more(50)
            with bank.history.fault("reset"):
                proxy.reset()
        await bank.history.more(50)
    for fault in bank.history.faults:
        assert not check_recovery(bank.history, fault, within_s=5, overlapping=10)


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.long)])
async def test_f17_reply_to_a_commit_lost(events_url: str, times: int) -> None:
    """The rows are there and nobody was told: the retry must find them."""
    async with postgres_proxy(events_url) as proxy, postgres_bank(events_url, silo_url=proxy.url) as bank, bank.load():
        for _ in range(times):
            with bank.history.fault("reply lost"):
                proxy.cut_next_append()
                await bank.history.more(50)
    assert proxy.cuts == times
    replayed = sum(each.done is not None and each.done.replayed for each in bank.history.operations)
    assert replayed >= times


async def test_f17_black_hole_that_heals(events_url: str) -> None:
    async with postgres_proxy(events_url) as proxy, postgres_bank(events_url, silo_url=proxy.url) as bank, bank.load():
        await bank.history.more(100)
        with bank.history.fault("black hole") as fault:
            proxy.black_hole()
            await asyncio.sleep(1)
            proxy.heal()
        await bank.history.more(100)
    assert not check_recovery(bank.history, fault, within_s=1, overlapping=30)


@pytest.mark.parametrize(
    "busy", [pytest.param(False, id="idle"), pytest.param(True, id="busy", marks=pytest.mark.long)]
)
async def test_server_that_says_goodbye_and_leaves_the_connection_open(events_url: str, busy: bool) -> None:
    """The driver waits for the end of the connection; whoever uses it meanwhile has lost it all the same."""
    async with postgres_proxy(events_url) as proxy:
        store = await PostgresEventStore.open(proxy.url, partitions=PARTITIONS)
        session = await store.take_over("silo/0", range(PARTITIONS), 0)
        stalled = asyncio.create_task(proxy.stall_next_statement()) if busy else None
        using = asyncio.create_task(_use_for_ever(session))
        if stalled is not None:
            await stalled
        proxy.say_goodbye()
        with pytest.raises(StoreUnavailable):
            await using
        await store.close()


async def _use_for_ever(session: WriteSession) -> None:
    while True:
        await session.prove()
