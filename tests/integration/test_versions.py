"""A changed projection is built anew beside the old one; a view never mixes two logs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from typing_extensions import override

from actors.store.event_store import EventStore, RecordedEvent, Stretch
from actors.store.memory import MemoryEventStore
from projections.read_store import ReadStore
from projections.versions import Versions
from projections.view_reader import ViewReader
from tests.account import ACCOUNT, Deposited
from tests.account_domain import ACCOUNTS, AccountRow
from tests.integration.running_views import PARTITIONS, Log, Running, rows

OPENED = ("ada", "Opened", '{"owner": "Ada"}')
DEPOSITED = ("ada", "Deposited", '{"amount": 5}')
CHANGED = replace(ACCOUNTS, revision=2, on={**ACCOUNTS.on, Deposited: lambda row, _: row})

AS_IT_WAS = [AccountRow(id="ada", owner="Ada", balance=5)]
AS_IT_IS = [AccountRow(id="ada", owner="Ada", balance=0)]


class HeldCommits(ReadStore):
    """Writes nothing until it is let."""

    reached: asyncio.Event
    go_on: asyncio.Event

    @override
    async def commit(self, *arguments: Any) -> None:
        self.reached.set()
        await self.go_on.wait()
        await super().commit(*arguments)


async def test_changed_projection_is_built_beside_and_swapped_in(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await _build(log, running, reader)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def open_held() -> ReadStore:
        held = await HeldCommits.open(views_url)
        assert isinstance(held, HeldCommits)
        held.reached, held.go_on = reached, go_on
        return held

    async with running(CHANGED, open_views=open_held) as view:
        await reached.wait()
        meanwhile = await rows(reader)
        go_on.set()
        status = await view.becomes("running", version=2)

        assert meanwhile == AS_IT_WAS
        assert await rows(reader) == AS_IT_IS
        assert status.kept == 1
    served = {"accounts", "accounts_v2", "balances", "balances_v2"}
    assert await _tables(views_url) == {*served, "accounts_v1", "balances_v1"}


async def test_view_is_built_anew_when_a_release_can_read_events_that_the_one_before_passed_over(
    log: Log, running: Running, reader: ViewReader
) -> None:
    before = replace(ACCOUNTS, sources=[replace(ACCOUNT, upcasts={})])
    await log.write(("ada", "AccountOpened", '{"name": "Ada"}'))
    async with running(before) as view:
        await view.becomes("running")
        passed_over = await rows(reader)
    async with running() as view:
        await view.becomes("running", version=2)

        assert passed_over == []
        assert await rows(reader) == [AccountRow(id="ada", owner="Ada", balance=0)]


async def test_build_that_was_interrupted_goes_on(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await _build(log, running, reader)
    store = await ReadStore.open(views_url)
    half_built = await Versions(store.connection, CHANGED).wanted(log.store.info)
    await store.close()

    async with running(CHANGED) as view:
        status = await view.becomes("running")

    assert half_built is not None
    assert status.version == half_built[0].version
    assert await rows(reader) == AS_IT_IS


async def test_new_version_is_swapped_in_although_the_log_grows_all_the_time(log: Log, running: Running) -> None:
    class GrowsWhileRead(MemoryEventStore):
        @override
        async def read_partitions(self, after: Mapping[int, int], *, limit: int) -> Sequence[RecordedEvent]:
            batch = await super().read_partitions(after, limit=limit)
            await log.write(DEPOSITED)
            return batch

    log.store = GrowsWhileRead(partitions=PARTITIONS)
    await log.write(OPENED)
    async with running() as view:
        await asyncio.wait_for(view.becomes("running"), timeout=10)


async def test_copy_that_was_paused_in_front_of_the_swap_does_not_serve_an_old_version_again(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await _build(log, running, reader)
    opened, paused, go_on, again = 0, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def open_views() -> ReadStore:
        nonlocal opened
        opened += 1
        if opened == 3:  # the one that holds the served version
            paused.set()
            await go_on.wait()
        elif opened == 4:  # it has ended, and begins anew
            again.set()
        return await ReadStore.open(views_url)

    async with running(CHANGED, open_views=open_views):
        await paused.wait()
        async with running(CHANGED) as other:
            await other.becomes("running", version=2)
            await other.order("rebuild")
            await other.becomes("running", version=3)
            go_on.set()
            await asyncio.wait_for(again.wait(), timeout=10)

            status = await other.status()

    assert (status.version, status.kept) == (3, 2)


async def test_earlier_release_takes_its_version_back_and_brings_it_up_to_date(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await _build(log, running, reader)
    async with running(CHANGED) as new:
        await new.becomes("running", version=2)
    await log.write(DEPOSITED)

    async with running() as old:
        await old.becomes("running", version=1)

        assert await rows(reader) == [AccountRow(id="ada", owner="Ada", balance=10)]


async def test_two_releases_at_once_do_not_take_the_view_from_each_other(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await log.write(OPENED)
    async with running() as old:
        await old.becomes("running")
        async with running(CHANGED) as new:
            await new.becomes("running", version=2)
            for _ in range(3):  # each lets both look what they have to do
                await new.order("resume")
                positions = await log.write(DEPOSITED)
                assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

            status = await new.status()
            assert (status.version, status.kept, status.rebuild) == (2, 1, None)


async def test_view_of_another_log_is_left_alone(log: Log, running: Running, reader: ViewReader) -> None:
    await _build(log, running, reader)
    other = MemoryEventStore(partitions=PARTITIONS)

    async def open_other() -> EventStore:
        return other

    async with running(open_log=open_other) as view:
        status = await view.becomes("failed")

    assert "built from another log" in (status.error or "")
    assert await rows(reader) == AS_IT_WAS


async def test_log_that_was_restored_from_an_older_state_stops_its_views(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await _build(log, running, reader)
    await log.forget_last("ada")
    async with running() as view:
        status = await view.becomes("failed")

    assert "restored from an older state" in (status.error or "")


async def test_log_that_was_restored_and_has_grown_again_stops_its_views(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await _build(log, running, reader)
    await log.forget_last("ada")
    await log.write(DEPOSITED, DEPOSITED)
    async with running() as view:
        status = await view.becomes("failed")

    assert "restored from an older state" in (status.error or "")
    assert await rows(reader) == AS_IT_WAS


async def test_view_that_is_ahead_of_a_restored_log_is_rebuilt_and_served_when_somebody_accepts_it(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await _build(log, running, reader)
    await log.forget_last("ada")
    async with running() as view:
        await view.becomes("failed")
        await view.order("rebuild")
        told = await asyncio.wait_for(view.until(lambda status: bool(status.rebuild and status.rebuild.error)), 10)
        await view.order("accept")
        await asyncio.wait_for(view.becomes("running", version=2), 10)
        positions = await log.write(DEPOSITED, DEPOSITED)
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

    assert told.version == 1
    assert told.rebuild is not None
    assert "version 1 has events that the log no longer has" in (told.rebuild.error or "")
    assert await rows(reader) == [AccountRow(id="ada", owner="Ada", balance=10)]


async def test_log_that_is_restored_and_grows_again_under_its_view_stops_it(
    log: Log, running: Running, reader: ViewReader
) -> None:
    positions = await log.write(OPENED, DEPOSITED)
    async with running() as view:
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        await log.forget_last("ada")
        await log.write(DEPOSITED, DEPOSITED)
        status = await view.becomes("failed")

    assert "restored from an older state" in (status.error or "")
    assert await rows(reader) == AS_IT_WAS


async def test_log_that_is_restored_and_grows_again_under_a_version_that_is_built_stops_it(
    log: Log, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class IsRestored(MemoryEventStore):
        grown = False

        @override
        async def follow(self, *arguments: Any, **wanted: Any) -> Stretch:
            stretch = await super().follow(*arguments, **wanted)
            if stretch.ends and not self.grown:
                self.grown = True
                await log.forget_last("ada")
                await log.forget_last("ada")
                await log.write(OPENED, DEPOSITED)
            return stretch

    monkeypatch.setattr("projections.bulk.BATCH", 1)
    log.store = IsRestored(partitions=PARTITIONS)
    await log.write(OPENED, DEPOSITED)
    async with running() as view:
        status = await view.becomes("failed")

    assert "restored from an older state" in (status.error or "")


async def _build(log: Log, running: Running, reader: ViewReader) -> None:
    positions = await log.write(OPENED, DEPOSITED)
    async with running():
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)


async def _tables(views_url: str) -> set[str]:
    connection = await asyncpg.connect(views_url)
    try:
        found = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace"
        )
        return {row["relname"] for row in found} - {"projections", "checkpoints", "parked", "runners", "migrations"}
    finally:
        await connection.close()
