"""Another server takes the place of the one that died, and the former one may live on, or come back as its standby."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Done, Outcome, decode_outcomes, encode
from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import Mark, NewEvent
from actors.store.postgres import PostgresEventStore
from gateway.queries.log_reader import LogReader
from projections.standard import STANDARD
from projections.view_reader import ViewReader
from tests.account import ACCOUNT
from tests.account_domain import ACCOUNTS
from tests.faults.proxy import postgres_proxy
from tests.in_process import command, running_silos
from tests.integration.running_views import Log, Running
from tests.integration.service import running_service

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


@asynccontextmanager
async def log_of_a_gateway(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> AsyncIterator[tuple[LogReader, Callable[[], None], Mark]]:
    """Its reader, which has a connection to the former server; a way to have its address lead to the new one; and
    the mark of an event that only the new one has."""
    open_log = partial(PostgresEventStore.open, partitions=1)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(postgres_proxy(primary.url("events")))
        reader = LogReader(partial(open_log, proxy.url))
        stack.push_async_callback(reader.close)
        await reader.heads()
        await promote(standby, primary)
        store = await open_log(standby.url("events"))
        stack.push_async_callback(store.close)
        session = await store.take_over("silo/0", [0], 0)
        await session.append([NewEvent(0, "account-ada", 1, "Deposited", DEPOSIT, "{}", uuid4(), 0, None)])
        yield reader, partial(proxy.lead_to, standby.url("events")), Mark(session.heads[0], session.epochs[0])


async def test_gateway_finds_a_token_of_the_new_server_although_it_has_just_connected(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    async with log_of_a_gateway(primary, standby) as (reader, lead_to_new, written):
        early = await reader.has({0: written})
        lead_to_new()

        assert (early, await reader.has({0: written})) == (False, True)
        assert await reader.stream("account-ada", after_version=0, limit=10)


async def test_history_for_a_token_comes_from_the_server_that_has_it(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    """The token is found on a connection to the new server, while another one still leads to the former."""
    async with log_of_a_gateway(primary, standby) as (reader, lead_to_new, written):
        lead_to_new()
        await asyncio.gather(reader.heads(), reader.heads())

        assert await reader.has({0: written})
        pages = await asyncio.gather(*(reader.stream("account-ada", after_version=0, limit=10) for _ in range(2)))

        assert [len(page) for page in pages] == [1, 1]


async def test_gateway_finds_what_the_new_server_has_in_a_view(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres, tmp_path: Path
) -> None:
    runners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'projection'"
    async with postgres_proxy(primary.url("views")) as proxy, running_service(STANDARD, proxy.url, tmp_path) as service:
        known = {"Consistency-Token": await service.register("alice"), "Prefer": "wait=1"}
        while (await service.http.get("/v1/customers/alice", headers=known)).status_code != httpx.codes.OK:
            pass
        await promote(standby, primary)
        proxy.lead_to(standby.url("views"))
        await ask(primary, runners)
        known = {"Consistency-Token": await service.register("bob"), "Prefer": "wait=1"}
        answers = [(await service.http.get("/v1/customers/bob", headers=known)).status_code for _ in range(20)]

        assert answers[-1] == httpx.codes.OK


async def test_who_waits_for_a_view_when_its_server_changes_waits_on_the_new_one(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres
) -> None:
    log = Log()
    async with postgres_proxy(primary.url("views")) as proxy, AsyncExitStack() as stack:
        reader = ViewReader(proxy.url, [ACCOUNTS])
        stack.push_async_callback(reader.close)
        async with Running(log, primary.url("views"))():
            opened = await log.write(("ada", "Opened", '{"owner": "Ada"}'))
            assert await reader.wait_until(ACCOUNTS, opened, timeout_s=60)
            await reader.get(ACCOUNTS, "ada")
        await promote(standby, primary)
        proxy.lead_to(standby.url("views"))
        async with Running(log, standby.url("views"))() as view:
            paid = await log.write(("ada", "Deposited", DEPOSIT))
            await view.until(lambda status: status.checkpoint == paid)
            waiting = asyncio.create_task(reader.wait_until(ACCOUNTS, paid, timeout_s=30))
            early = await reader.wait_until(ACCOUNTS, paid, timeout_s=0.5)
            former = (await reader.get(ACCOUNTS, "ada")).value
            await reader.connect_anew()
            there, row = await waiting, (await reader.get(ACCOUNTS, "ada")).value

        assert (early, there) == (False, True)
        assert [each and each.balance for each in (former, row)] == [0, 1]
