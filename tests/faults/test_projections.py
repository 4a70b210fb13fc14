"""Projections lose their database and their processes: every view still equals a replay of the log (I9)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from typing_extensions import override

from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import Marks, positions_of
from actors.store.postmaster import processes_of
from gateway.http.limits import Limits
from projections import build_writer
from projections.build import Build
from projections.errors import ViewsUnavailable
from projections.folding import Folded, Folding, Step
from projections.read_store import ReadStore
from projections.standard import STANDARD
from projections.view_reader import ViewReader
from tests.account_domain import ACCOUNTS
from tests.faults.proxy import postgres_proxy
from tests.integration.running_views import Log, Running, audited, rows
from tests.integration.service import running_service

KEYS = [f"a{number}" for number in range(20)]
AHEAD = 20
# One run may end without the loss that shows what is wrong.
RUNS = 20
RANDOM = random.Random(7)  # noqa: S311 - the same faults in each run


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def running(log: Log, views_url: str) -> Running:
    return Running(log, views_url)


@asynccontextmanager
async def writing(log: Log, views_url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Deposits go on until the block ends, never far ahead of the view; gives a way to wait for more of them."""
    reader = ViewReader(views_url, [ACCOUNTS])
    await log.write(*((key, "Opened", '{"owner": "Ada"}') for key in KEYS))
    written = 0
    grown = asyncio.Event()

    async def write() -> None:
        nonlocal written
        while True:
            heads = await log.write(*((key, "Deposited", '{"amount": 1}') for key in RANDOM.sample(KEYS, 5)))
            written += 5
            grown.set()
            if written % AHEAD == 0:
                await reader.wait_until(ACCOUNTS, heads, timeout_s=0.2)

    async def more(events: int) -> None:
        goal = written + events
        while written < goal:
            grown.clear()
            await grown.wait()

    work = asyncio.create_task(write())
    try:
        yield more
    finally:
        work.cancel()
        await reader.close()


async def caught_up(log: Log, views_url: str) -> None:
    """Wait until the view has everything."""
    reader = ViewReader(views_url, [ACCOUNTS])
    try:
        assert await reader.wait_until(ACCOUNTS, await log.store.heads(), timeout_s=30)
    finally:
        await reader.close()


async def test_f3_connections_of_projections_killed_again_and_again(log: Log, running: Running, views_url: str) -> None:
    killer = await asyncpg.connect(views_url)
    kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND datname = $2"
    name = await killer.fetchval("SELECT current_database()")
    async with running(), running(), writing(log, views_url) as more:
        killed = 0
        while killed < 12:
            killed += await killer.fetchval(kill, "rayleans projection", name)
            await more(20)
    async with running():
        await caught_up(log, views_url)
    await killer.close()

    assert (await audited(log, views_url)).difference is None


# In the process of the server, when all is written and nothing committed.
DIE_HALF_OF_THE_TIMES = """
    CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_terminate_backend(pg_backend_pid()) WHERE random() < 0.5;
        RETURN NULL;
    END $$;
    CREATE TRIGGER die AFTER INSERT ON accounts_v1 EXECUTE FUNCTION die();
"""


async def test_f3_what_writes_a_view_dies_between_rows_and_checkpoint(
    log: Log, running: Running, views_url: str
) -> None:
    async with running() as view, writing(log, views_url) as more:
        await view.becomes("running")
        connection = await asyncpg.connect(views_url)
        await connection.execute(DIE_HALF_OF_THE_TIMES)
        await connection.close()
        await more(300)
    async with running():
        await caught_up(log, views_url)

    assert (await audited(log, views_url)).difference is None


async def test_copies_of_a_projection_do_no_harm(log: Log, running: Running, views_url: str) -> None:
    async with running(), running(), running(), writing(log, views_url) as more:
        await more(500)
    async with running():
        await caught_up(log, views_url)

    assert (await audited(log, views_url)).difference is None


async def test_f23_read_database_away_and_back(log: Log, tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await asyncio.to_thread(server.start)
    views_url = server.url("views")
    reader = ViewReader(views_url, [ACCOUNTS])
    async with Running(log, views_url)() as view, writing(log, views_url) as more:
        await view.becomes("running")
        await asyncio.to_thread(server.stop)
        # Commands are not affected, queries say at once that they cannot be answered.
        await more(100)
        with pytest.raises(ViewsUnavailable):
            await rows(reader)
        await asyncio.to_thread(server.start)
        await more(500)
    async with Running(log, views_url)():
        await caught_up(log, views_url)
    await reader.close()

    assert (await audited(log, views_url)).difference is None
    await asyncio.to_thread(server.stop)


async def test_f23_server_of_the_views_crashes_and_takes_the_last_moments_back(log: Log, tmp_path: Path) -> None:
    """Batches do not wait for the disk, so rows and checkpoint have to go back together; what was decided stays."""
    server = EmbeddedPostgres(tmp_path)
    await asyncio.to_thread(server.start)
    await keep_wal_in_memory(server)
    async with Running(log, server.url("views"))() as view, writing(log, server.url("views")) as more:
        await view.becomes("running")
        await log.write(("a0", "Deposited", '{"amount": "a lot"}'))
        stopped = (await view.becomes("failed")).stopped_at
        assert stopped is not None
        await view.decide(stopped.parked_id, "park")
        await view.until(lambda status: status.parked > 1)
        await view.decide(stopped.parked_id, "skip")
        await more(300)
        before = (await view.status()).checkpoint
        for process in processes_of(server._cluster):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await more(100)
    await asyncio.to_thread(server.start)
    after = (await view.status()).checkpoint

    assert sum(after.values()) < sum(before.values())
    assert [event.state for event in await view.parked()] == ["skipped"]
    assert (await audited(log, server.url("views"))).difference is None
    async with Running(log, server.url("views"))():
        await caught_up(log, server.url("views"))
    assert (await audited(log, server.url("views"))).difference is None
    await asyncio.to_thread(server.stop)


async def keep_wal_in_memory(server: EmbeddedPostgres) -> None:
    """What no transaction waits for is not written for so long that a crash finds it in memory."""
    connection = await asyncpg.connect(server.url("views"))
    await connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def test_f23_slow_read_database_is_told_in_time_and_delays_no_command(
    log: Log, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.view_reader.QUERY_TIMEOUT_S", 0.5)
    async with (
        postgres_proxy(views_url) as proxy,
        Running(log, proxy.url)() as view,
        writing(log, views_url) as more,
    ):
        await view.becomes("running")
        reader = ViewReader(proxy.url, [ACCOUNTS])
        await connected(reader)
        proxy.delay_s = 60.0
        asked = asyncio.create_task(rows(reader))
        async with asyncio.timeout(30):
            await more(200)
            with pytest.raises(ViewsUnavailable):
                await asked
        proxy.delay_s = 0.0
        proxy.reset()
        await more(200)
        await reader.close()
    async with Running(log, views_url)():
        await caught_up(log, views_url)

    assert (await audited(log, views_url)).difference is None


async def test_f23_all_queries_on_a_read_database_that_hangs_are_told_in_time(
    log: Log, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more than there are connections."""
    monkeypatch.setattr("projections.view_reader.QUERY_TIMEOUT_S", 0.5)
    async with Running(log, views_url)() as view, postgres_proxy(views_url) as proxy:
        await view.becomes("running")
        reader = ViewReader(proxy.url, [ACCOUNTS])
        await connected(reader)
        proxy.black_hole()
        async with asyncio.timeout(4):
            answers = await asyncio.gather(*(rows(reader) for _ in range(100)), return_exceptions=True)
        proxy.heal()
        await reader.close()

    assert {type(answer) for answer in answers} == {ViewsUnavailable}


async def test_f23_queries_on_a_read_database_that_hangs_leave_room_for_commands(
    views_url: str, tmp_path: Path
) -> None:
    limits = Limits(waiting=8, queries=4)
    async with (
        postgres_proxy(views_url) as proxy,
        running_service(STANDARD, proxy.url, tmp_path, limits=limits) as service,
    ):
        proxy.black_hole()
        queries = [asyncio.create_task(service.http.get("/v1/customers")) for _ in range(8)]
        first = asyncio.as_completed(queries)
        refused = [await next(first) for _ in range(4)]
        await service.register("alice")
        proxy.heal()
        replies = await asyncio.gather(*queries)

    assert [(reply.json()["code"], reply.headers["Retry-After"]) for reply in refused] == [("overloaded", "1")] * 4
    assert sorted(reply.status_code for reply in replies) == [200] * 4 + [503] * 4


async def connected(reader: ViewReader) -> None:
    """Wait until it has a connection and an answer, however impatient it is."""
    while True:
        with suppress(ViewsUnavailable):
            await rows(reader)
            return


async def test_f29_poison_event_under_load_is_parked_and_later_retried(
    log: Log, running: Running, views_url: str
) -> None:
    async with running() as view, writing(log, views_url) as more:
        await view.becomes("running")
        await log.write(("a0", "Deposited", '{"amount": "a lot"}'))
        status = await view.becomes("failed")
        assert status.stopped_at is not None
        await view.decide(status.stopped_at.parked_id, "park")
        await more(500)
        await view.becomes("running")
        await view.decide(status.stopped_at.parked_id, "skip")
        await more(500)
    async with running():
        await caught_up(log, views_url)

    audit = await audited(log, views_url)
    assert (audit.left_out, audit.difference) == (1, None)


async def test_f30_events_of_a_newer_release_are_left_out_where_the_projection_says_so(
    log: Log, running: Running, views_url: str
) -> None:
    async with running(), writing(log, views_url) as more:
        for key in KEYS:
            await log.write((key, "Sealed", '{"by": "a newer release"}'))
        await more(200)
    async with running():
        await caught_up(log, views_url)

    assert (await audited(log, views_url)).difference is None


async def test_f37_rebuild_under_load_is_swapped_in_without_a_query_that_fails_or_goes_back(
    log: Log, running: Running, views_url: str
) -> None:
    reader = ViewReader(views_url, [ACCOUNTS])
    seen: list[dict[int, int]] = []

    async def read() -> None:
        while True:
            seen.append(positions_of((await reader.get(ACCOUNTS, "a0")).checkpoint))

    async with running() as view, writing(log, views_url) as more:
        await view.becomes("running")
        reading = asyncio.create_task(read())
        for version in (2, 3):
            await view.order("rebuild")
            await view.until(lambda status, version=version: status.version == version)  # type: ignore[misc]
            await more(100)
        reading.cancel()
        assert not [
            error for error in await asyncio.gather(reading, return_exceptions=True) if type(error) is Exception
        ]
    async with running():
        await caught_up(log, views_url)
    await reader.close()

    assert len(seen) > 10
    for before, after in pairwise(seen):
        assert all(after[partition] >= position for partition, position in before.items())
    assert (await audited(log, views_url)).difference is None


class ChecksOutLate(ReadStore):
    """A seeded bug: the checkpoint is moved in another transaction than the rows."""

    @override
    async def commit(self, build: Build, before: Marks, after: Marks, folded: Folded) -> None:
        await super().commit(build, before, {}, folded)
        if RANDOM.random() < 0.3:
            self.connection.terminate()
        await super().commit(build, before, after, replace(folded, changes={}))


async def test_seeded_bug_checkpoint_in_another_transaction_is_caught(
    log: Log, running: Running, views_url: str
) -> None:
    for _ in range(RUNS):
        async with running(open_views=partial(ChecksOutLate.open, views_url)), writing(log, views_url) as more:
            await more(300)
        async with running():
            await caught_up(log, views_url)
        if (await audited(log, views_url)).difference is not None:
            return
    pytest.fail("no connection was lost between rows and checkpoint")


async def test_seeded_bug_silently_skipped_event_is_caught(
    log: Log, running: Running, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Skips(Folding):
        @override
        def step(self, event: Any) -> Step | None:
            return None if event.version == 7 else super().step(event)

    monkeypatch.setattr("projections.follower.Folding", Skips)
    monkeypatch.setattr("projections.builder.Folding", Skips)
    async with running(), writing(log, views_url) as more:
        await more(300)
    async with running():
        await caught_up(log, views_url)

    assert (await audited(log, views_url)).difference is not None


async def test_seeded_bug_rows_kept_after_a_lost_race_are_caught(
    log: Log, running: Running, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Remembers(build_writer.BuildWriter):
        @override
        async def find_place(self) -> None:
            rows = self._rows
            await super().find_place()
            self._rows = rows

    monkeypatch.setattr("projections.follower.BuildWriter", Remembers)
    for _ in range(RUNS):
        async with running(), running(), writing(log, views_url) as more:
            await more(300)
        async with running():
            await caught_up(log, views_url)
        if (await audited(log, views_url)).difference is not None:
            return
    pytest.fail("no lost race has left a wrong row behind")
