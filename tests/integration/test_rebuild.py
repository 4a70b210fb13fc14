"""A view is built anew beside the served one, compared with it, swapped in and taken back; it is paused and resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import asyncpg
import pytest

from projections import builder
from projections.bulk import help_to_build
from projections.errors import NotPossible, ProjectionsError, ViewsUnavailable
from projections.read_store import ReadStore
from projections.reporter import Reporter
from projections.share import Share
from projections.status import read_status
from projections.steering import Steering
from projections.versions import Versions
from projections.view_reader import ViewReader
from tests.account_domain import ACCOUNTS
from tests.integration.running_views import PARTITIONS, Log, Running, balances, rows
from tests.integration.test_parking import BROKEN, opened, stopped
from tests.integration.test_poison import POISON

KEYS = [f"a{number}" for number in range(40)]


async def fill(log: Log) -> dict[int, int]:
    await log.write(*((key, "Opened", '{"owner": "Ada"}') for key in KEYS))
    return await log.write(*((key, "Deposited", '{"amount": 1}') for key in KEYS))


async def execute(views_url: str, statement: str) -> None:
    connection = await asyncpg.connect(views_url)
    await connection.execute(statement)
    await connection.close()


async def test_rebuilt_view_is_swapped_in_and_goes_on(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await fill(log)
    async with running() as view:
        await view.becomes("running")
        await view.order("rebuild")
        status = await view.becomes("running", version=2)
        positions = await log.write(("a0", "Deposited", '{"amount": 5}'))

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        assert status.kept == 1
        assert await balances(views_url) == [("Ada", 40, 45)]


async def test_rebuild_is_begun_after_the_read_database_was_lost_while_there_was_nothing_to_build(
    log: Log, running: Running, views_url: str
) -> None:
    opened, again = 0, asyncio.Event()

    async def open_views() -> ReadStore:
        nonlocal opened
        opened += 1
        if opened == 4:  # each of the two that a runner has, for the second time
            again.set()
        return await ReadStore.open(views_url)

    await fill(log)
    async with running(open_views=open_views) as view:
        await view.becomes("running")
        # Nobody builds any more: only then the builder waits.
        opened = 2
        await execute(
            views_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'rayleans projection' AND datname = current_database()",
        )
        await asyncio.wait_for(again.wait(), timeout=10)
        await view.order("rebuild")

        await asyncio.wait_for(view.becomes("running", version=2), timeout=10)


async def test_rebuilt_view_that_differs_is_not_served_until_somebody_accepts_it(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await fill(log)
    async with running() as view:
        await view.becomes("running")
        await execute(views_url, "UPDATE accounts_v1 SET balance = 99 WHERE id = 'a0'")
        await view.order("rebuild")
        status = await view.until(lambda status: status.rebuild is not None and status.rebuild.error is not None)
        meanwhile = await rows(reader)
        await view.order("accept")
        await view.becomes("running", version=2)

        assert status.rebuild is not None
        assert "version 2 has 40 rows with checksum" in (status.rebuild.error or "")
        assert (status.version, status.state) == (1, "rebuilding")
        assert meanwhile[0].balance == 99
        assert (await rows(reader))[0].balance == 1


async def test_order_in_the_middle_of_a_rebuild_does_not_get_around_the_comparison(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    connections = 0

    async def open_views() -> ReadStore:
        nonlocal connections
        connections += 1
        if connections == 3:  # the one that holds the served version
            positions = await log.write(("a0", "Deposited", '{"amount": 5}'))
            await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
            await Steering(views_url, [ACCOUNTS]).order("accounts", "resume")
        return await ReadStore.open(views_url)

    await fill(log)
    async with running(open_views=open_views) as view:
        await view.becomes("running")
        await execute(views_url, "UPDATE accounts_v1 SET balance = 99 WHERE id = 'a1'")
        await view.order("rebuild")
        status = await view.until(lambda status: status.version == 2 or bool(status.rebuild and status.rebuild.error))

    assert status.version == 1


async def test_rebuild_that_is_served_is_taken_back_without_going_back_in_the_log(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await fill(log)
    async with running() as view:
        await view.becomes("running")
        await view.order("rebuild")
        await view.becomes("running", version=2)
        positions = await log.write(("a0", "Deposited", '{"amount": 5}'))
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        await view.order("take-back")
        status = await view.becomes("running", version=1)

        assert status.checkpoint == positions
        assert status.kept == 2
        assert (await rows(reader))[0].balance == 6


async def test_rebuild_under_way_is_given_up(log: Log, running: Running, views_url: str) -> None:
    await fill(log)
    async with running() as view:
        await view.becomes("running")
        await execute(views_url, "UPDATE accounts_v1 SET balance = 99 WHERE id = 'a0'")
        await view.order("rebuild")
        await view.until(lambda status: status.rebuild is not None and status.rebuild.error is not None)
        with pytest.raises(NotPossible):
            await view.order("rebuild")

        status = await view.order("take-back")

        assert (status.version, status.rebuild, status.kept) == (1, None, None)
        assert (await view.becomes("running")).version == 1


async def test_version_that_is_kept_is_dropped_on_request(log: Log, running: Running) -> None:
    await fill(log)
    async with running() as view:
        await view.becomes("running")
        await view.order("rebuild")
        await view.becomes("running", version=2)

        status = await view.order("drop-kept")

        assert status.kept is None
        with pytest.raises(NotPossible):
            await view.order("take-back")


async def test_several_processes_build_a_version_together(
    log: Log, running: Running, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "PARALLEL_FROM", 10)
    helped: list[int] = []

    async def helpers(version: int, goal: Mapping[int, int]) -> None:
        for index in range(2):
            share = Share(index, 2)
            part = {each: goal[each] for each in share.partitions(PARTITIONS)}
            helped.append(sum(part.values()))
            open_views = partial(ReadStore.open, views_url)
            await help_to_build(ACCOUNTS, version, part, share, log.open, open_views)

    await fill(log)
    async with running(helpers=helpers) as view:
        await view.becomes("running")

        assert sum(helped) == 2 * len(KEYS)
        assert min(helped) > 0
        assert await balances(views_url) == [("Ada", 40, 40)]


async def test_hole_that_a_helper_meets_is_told(
    log: Log, running: Running, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "PARALLEL_FROM", 10)

    async def helpers(version: int, goal: Mapping[int, int]) -> None:
        open_views = partial(ReadStore.open, views_url)
        try:
            await help_to_build(ACCOUNTS, version, goal, Share(0, 1), log.open, open_views)
        except ProjectionsError as exc:
            raise ViewsUnavailable("a helper was lost") from exc

    await fill(log)
    del log.store._partitions[log.partition("a0")][3]
    async with running(helpers=helpers) as view:
        status = await asyncio.wait_for(view.becomes("failed"), timeout=10)

    assert "of the log lacks 1 events" in (status.error or "")


async def test_view_whose_first_build_has_lost_its_process_is_failed(log: Log, views_url: str) -> None:
    views = await ReadStore.open(views_url)
    await Versions(views.connection, ACCOUNTS).wanted(log.store.info)
    await Reporter(ACCOUNTS.name, building=True, share=0).tell(views, 1, 5000)
    await views.connection.execute("UPDATE runners SET reported_at = reported_at - interval '1 minute'")

    status = await read_status(views.connection, ACCOUNTS.name)
    await views.close()

    assert status.state == "failed"
    assert status.rebuild is not None
    assert "has said nothing for 60 s" in (status.rebuild.error or "")


async def test_builder_that_waits_long_is_heard_of(
    log: Log, running: Running, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "PARALLEL_FROM", 10)
    monkeypatch.setattr(builder, "HEARD_OF_EVERY_S", 0.1)
    connection = await asyncpg.connect(views_url)
    told = "SELECT reported_at FROM runners WHERE building AND share = 0"

    async def helpers(*_: object) -> None:
        before = await connection.fetchval(told)
        while await connection.fetchval(told) == before:
            pass

    await fill(log)
    async with running(helpers=helpers) as view:
        await asyncio.wait_for(view.becomes("running"), timeout=10)
    await connection.close()


async def test_several_runners_share_the_partitions_of_a_view(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    async with running(share=Share(0, 2)) as view, running(share=Share(1, 2)):
        await view.becomes("running")
        positions = await fill(log)

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        assert await balances(views_url) == [("Ada", 40, 40)]
        await view.order("rebuild")
        await view.becomes("running", version=2)
        positions = await log.write(*((key, "Deposited", '{"amount": 1}') for key in KEYS))
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        assert await balances(views_url) == [("Ada", 40, 80)]


async def test_event_that_was_parked_is_parked_again_in_a_new_version(log: Log, running: Running) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON), ("ada", "Deposited", '{"amount": 1}'))
        await view.decide((await stopped(view)).id, "park")
        await view.becomes("running")
        await view.order("rebuild")
        status = await view.becomes("running", version=2)

        assert status.parked == 2


async def test_paused_view_stands_still_also_after_a_restart_until_it_is_resumed(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await opened(log)
    async with running() as view:
        await view.becomes("running")
        await view.order("pause")
        await view.becomes("paused")
    positions = await log.write(("ada", "Deposited", '{"amount": 1}'))
    async with running() as again:
        status = await again.until(lambda status: status.lag.events == 1)
        before = await rows(reader)
        with pytest.raises(NotPossible):
            await again.order("rebuild")
        await again.order("resume")

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        assert status.state == "paused"
        assert before[0].balance == 0
