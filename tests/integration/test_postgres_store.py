"""What only PostgreSQL can show: take-over of a holder that is stuck, broken connections, the schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from importlib.resources import files

import asyncpg
import pytest

from actors.store import takeover
from actors.store.event_store import Deposed, StoreUnavailable, StoreUnsuitable, Superseded, partition_of
from actors.store.migrations import migrate
from actors.store.postgres import PostgresEventStore, _check_settings
from actors.store.write_session import PostgresWriteSession
from tests.contract.event_store_contract import PARTITIONS, history, new, own_all, whole_log

WAITING = "FROM pg_locks WHERE NOT granted AND relation IN ('events'::regclass, 'partitions'::regclass)"
CATALOG = """
SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'migrations'
UNION ALL
SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'migrations'
ORDER BY 1, 2
"""


@pytest.fixture
async def store(events_url: str) -> AsyncIterator[PostgresEventStore]:
    store = await PostgresEventStore.open(events_url, partitions=PARTITIONS)
    yield store
    await store.close()


@pytest.mark.parametrize("package", ["actors.store", "projections"])
async def test_migrations_lead_to_the_schema(new_database: Callable[[], str], package: str) -> None:
    migrated, made = [await asyncpg.connect(new_database()) for _ in range(2)]
    await migrate(migrated, package)
    await made.execute(files(package).joinpath("sql", "schema.sql").read_text())

    assert await migrated.fetch(CATALOG) == await made.fetch(CATALOG)

    await migrate(migrated, package)
    await migrated.close()
    await made.close()


async def test_event_that_is_missing_in_the_log_shows_to_whoever_follows_it(
    store: PostgresEventStore, events_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.store.postgres.PIECE", 2)
    session = await own_all(store)
    await session.append(history("account-ada", 9))
    partition = partition_of("account-ada", PARTITIONS)
    connection = await asyncpg.connect(events_url)
    await connection.execute("DELETE FROM events WHERE position BETWEEN 2 AND 7")
    await connection.close()

    for limit in (1, 4, 9):
        stretch = await store.follow({partition: 1}, limit=limit, categories=["account"])
        assert stretch.ends[partition].position - 1 > stretch.lengths[partition]


async def test_holder_that_is_stuck_in_an_append_is_put_out_and_has_written_nothing(
    store: PostgresEventStore, events_url: str
) -> None:
    stuck = await own_all(store)
    async with _locked_table(events_url):
        append = asyncio.create_task(stuck.append([new()]))
        await _somebody_waits(events_url)

        owner = await store.take_over("silo/0 again", range(PARTITIONS), 0)
    with pytest.raises(StoreUnavailable):
        await append
    await owner.append([new("account-bob")])

    assert await whole_log(store) == ["account-bob@1"]


async def test_epochs_do_not_go_up_amid_an_append(store: PostgresEventStore, events_url: str) -> None:
    session = await own_all(store)
    assert isinstance(session, PostgresWriteSession)
    await session._connection.execute("BEGIN")
    await session.append([new()])

    with pytest.raises(asyncpg.LockNotAvailableError):
        await _execute(events_url, "SET lock_timeout = '50ms'; UPDATE partitions SET epoch = epoch + 1")


async def test_newer_service_that_is_begun_in_the_middle_of_a_take_over_stops_it(
    store: PostgresEventStore, events_url: str
) -> None:
    older = await store.begin_service("the older one")
    former = await store.take_over("silo/0", range(PARTITIONS), older)
    async with _locked_table(events_url, table="partitions"):
        attempt = asyncio.create_task(store.take_over("silo/0 again", range(PARTITIONS), older))
        await _somebody_waits(events_url)
        newer = await store.begin_service("the newer one")
    with pytest.raises(Superseded, match="the newer one"):
        await attempt

    session = await store.take_over("silo/0", range(PARTITIONS), newer, reclaim=former)

    await session.append([new()])


async def test_log_that_was_restored_gives_no_generation_a_second_time(
    store: PostgresEventStore, events_url: str
) -> None:
    await store.begin_service("one")
    lost = await store.begin_service("a lost one")
    await _execute(events_url, "UPDATE store SET generation = 1")

    await store.refuse_older(lost)
    assert await store.begin_service("another one") > lost


async def test_log_of_the_first_release_is_opened(store: PostgresEventStore, events_url: str) -> None:
    session = await own_all(store)
    await session.append([new()])
    await store.close()
    await _execute(events_url, "ALTER TABLE store DROP generation, DROP service, DROP since")
    await _execute(events_url, "DELETE FROM migrations WHERE name <> '0001_log'")

    opened = await PostgresEventStore.open(events_url, partitions=PARTITIONS)

    assert opened.info == store.info
    owner = await opened.take_over("silo/0", range(PARTITIONS), await opened.begin_service("a newer release"))
    await owner.append([new("account-ada", 2)])
    assert await whole_log(opened) == ["account-ada@1", "account-ada@2"]
    await opened.close()


async def test_former_owner_cannot_write_again_on_its_old_connection(store: PostgresEventStore) -> None:
    former = await own_all(store)
    await own_all(store)

    with pytest.raises((Deposed, StoreUnavailable)):
        await former.append([new()])

    assert await whole_log(store) == []


async def test_append_at_an_old_epoch_writes_nothing_even_without_the_lock(
    store: PostgresEventStore, events_url: str
) -> None:
    session = await own_all(store)
    await _execute(events_url, "UPDATE partitions SET epoch = epoch + 1 WHERE partition = 3")

    with pytest.raises(Deposed):
        await session.append([new()])

    assert await whole_log(store) == []


async def test_proof_at_an_old_epoch_fails_even_without_the_lock(store: PostgresEventStore, events_url: str) -> None:
    session = await own_all(store)
    await _execute(events_url, "UPDATE partitions SET epoch = epoch + 1 WHERE partition = 3")

    with pytest.raises(Deposed):
        await session.prove()


async def test_cancelled_append_ends_the_session(store: PostgresEventStore, events_url: str) -> None:
    session = await own_all(store)
    async with _locked_table(events_url):
        append = asyncio.create_task(session.append([new()]))
        await _somebody_waits(events_url)
        append.cancel()
        await asyncio.wait([append])

    with pytest.raises(StoreUnavailable):
        await session.append([new()])


async def test_lock_that_is_not_given_in_time_is_an_unknown_outcome(
    store: PostgresEventStore, events_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(takeover.SESSION_SETTINGS, "lock_timeout", "100ms")
    session = await own_all(store)
    async with _locked_table(events_url):
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await session.append([new()])


async def test_reclaim_puts_out_the_rest_of_its_own_broken_session(store: PostgresEventStore, events_url: str) -> None:
    broken = await own_all(store)
    async with _locked_table(events_url):
        append = asyncio.create_task(broken.append([new()]))
        await _somebody_waits(events_url)
        append.cancel()
        await asyncio.wait([append])
        session = await store.take_over("silo/0", range(PARTITIONS), 0, reclaim=broken)

    await session.append([new()])
    assert await whole_log(store) == ["account-ada@1"]


async def test_attempt_to_reclaim_that_broke_half_way_can_be_made_again(
    store: PostgresEventStore, events_url: str
) -> None:
    """Its epochs must not stay raised: the next attempt would take itself for deposed."""
    broken = await own_all(store)
    await broken.close()
    async with _locked_table(events_url, "ACCESS EXCLUSIVE"):
        attempt = asyncio.create_task(store.take_over("silo/0", range(PARTITIONS), 0, reclaim=broken))
        await _somebody_waits(events_url)
        await _execute(events_url, f"SELECT pg_terminate_backend(pid) {WAITING}")
        with pytest.raises(StoreUnavailable):
            await attempt

    session = await store.take_over("silo/0", range(PARTITIONS), 0, reclaim=broken)

    await session.append([new()])


@pytest.mark.parametrize("partitions", [PARTITIONS - 1, PARTITIONS + 1])
async def test_log_with_another_number_of_partitions_is_refused(
    store: PostgresEventStore, events_url: str, partitions: int
) -> None:
    with pytest.raises(StoreUnsuitable, match=f"--partitions {PARTITIONS}"):
        await PostgresEventStore.open(events_url, partitions=partitions)


async def test_database_that_acknowledges_too_early_is_refused(events_url: str) -> None:
    separator = "&" if "?" in events_url else "?"
    with pytest.raises(StoreUnsuitable, match="synchronous_commit is off"):
        await PostgresEventStore.open(f"{events_url}{separator}synchronous_commit=off", partitions=PARTITIONS)


@pytest.mark.parametrize(
    ("name", "value"), [("version", 140_012), ("encoding", "LATIN1"), ("fsync", "off"), ("full_page_writes", "off")]
)
def test_server_that_could_lose_what_it_acknowledged_is_refused(name: str, value: object) -> None:
    """The server of the tests cannot be made one."""
    good: dict[str, object] = {"version": 150_000, "encoding": "UTF8"}
    good |= dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "on")
    _check_settings(good)

    with pytest.raises(StoreUnsuitable, match=str(value)):
        _check_settings({**good, name: value})


async def test_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="PostgreSQL does not answer"):
        await PostgresEventStore.open("postgresql://nobody@127.0.0.1:1/nowhere", partitions=PARTITIONS)


class _locked_table:  # noqa: N801 - used like a function
    """Keeps every write of events, or of another table, waiting until the block ends."""

    def __init__(self, url: str, mode: str = "SHARE", table: str = "events") -> None:
        self._url = url
        self._mode = mode
        self._table = table

    async def __aenter__(self) -> None:
        self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(f"BEGIN; LOCK TABLE {self._table} IN {self._mode} MODE")

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def _somebody_waits(url: str) -> None:
    connection = await asyncpg.connect(url)
    while not await connection.fetchval(f"SELECT count(*) {WAITING}"):
        pass
    await connection.close()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
