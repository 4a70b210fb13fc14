"""Another server takes the place of the one that died, and the former one may live on, or come back as its standby."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Done, Outcome, decode_outcomes, encode
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import PostgresEventStore
from projections.views import ViewReader
from tests.account import ACCOUNT
from tests.account_domain import ACCOUNTS
from tests.faults.proxy import postgres_proxy
from tests.in_process import command, running_silos
from tests.integration.running_views import Log, Running

OPEN, DEPOSIT = '{"owner": "x"}', '{"amount": 1}'
# Each actor sleeps as soon as the next one wakes, so that the next command has to read the log.
FORGETFUL = SiloLimits(activations=1)


@pytest.fixture
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("primary"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def standby(primary: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = standby_of(primary, tmp_path_factory.mktemp("standby"))
    yield server
    server.stop()


def standby_of(primary: EmbeddedPostgres, data: Path) -> EmbeddedPostgres:
    """A server that follows another one."""
    server = EmbeddedPostgres(data)
    server._make_folders()
    copy = ["-h", str(primary._socket_dir()), "-U", "postgres", "-D", server._cluster.name]
    server._run("pg_basebackup", *copy, "-R", "-c", "fast")
    server.start()
    return server


async def ask(server: EmbeddedPostgres, statement: str) -> str:
    """The only value of the answer, as text."""
    connection = await asyncpg.connect(server.url("postgres"))
    value = await connection.fetchval(statement)
    await connection.close()
    return str(value)


async def promote(standby: EmbeddedPostgres, primary: EmbeddedPostgres) -> None:
    """As an operator does who loses nothing."""
    written = await ask(primary, "SELECT pg_current_wal_lsn()::text")
    while await ask(standby, f"SELECT pg_last_wal_replay_lsn() >= '{written}'") != "True":
        pass
    await ask(standby, "SELECT pg_promote()")


async def one(silo: Silo, envelope: CommandEnvelope) -> Outcome:
    return decode_outcomes(await silo.execute(encode([envelope])))[0]


async def opened(silo: Silo, key: str) -> Done:
    """The outcome once the silo owns its partitions."""
    while not isinstance(outcome := await one(silo, command("open", OPEN, key=key)), Done):
        pass
    return outcome


def standby_first(database: str, primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> str:
    """The address of a database on two servers."""
    hosts = f"{standby._socket_dir()},{primary._socket_dir()}"
    return f"postgresql://postgres@/{database}?host={hosts}&port=5432,5432"


async def test_of_several_servers_the_primary_is_asked(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """The standby lags."""
    await ask(standby, "SELECT pg_wal_replay_pause()")
    store = await PostgresEventStore.open(standby_first("events", primary, standby), partitions=4)

    async with running_silos(store, [ACCOUNT], limits=FORGETFUL) as (silo,):
        for key in ("ada", "bob"):
            await opened(silo, key)
        again = await one(silo, command("deposit", DEPOSIT, key="ada"))

    assert isinstance(again, Done)
    await store.close()


async def test_of_several_servers_the_primary_has_the_views(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    await ask(standby, "SELECT pg_wal_replay_pause()")
    log, url = Log(), standby_first("views", primary, standby)
    reader = ViewReader(url, [ACCOUNTS])

    async with Running(log, url)():
        written = await log.write(("ada", "Opened", '{"owner": "Ada"}'))
        assert await reader.wait_until(ACCOUNTS, written, timeout_s=60)
        assert (await reader.get(ACCOUNTS, "ada")).value is not None

    await reader.close()


async def test_no_actor_is_woken_with_what_a_former_server_says(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    """One address leads to another server from one moment on, while connections to the former one live on."""
    async with postgres_proxy(primary.url("events")) as proxy:
        store = await PostgresEventStore.open(proxy.url, partitions=4)
        async with running_silos(store, [ACCOUNT], limits=FORGETFUL) as (silo,):
            await opened(silo, "before")
            await promote(standby, primary)
            proxy.lead_to(standby.url("events"))
            await ask(primary, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'silo'")
            for key in ("ada", "bob"):
                await opened(silo, key)
            again = await one(silo, command("deposit", DEPOSIT, key="ada"))

        assert isinstance(again, Done)
        await store.close()
