from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import BaseModel

from actors.store.event_store import EventStore, NewEvent, partition_of
from actors.store.memory import MemoryEventStore
from projections.projection import AnyProjection, Projection
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner
from projections.views import ViewReader
from tests.account import Deposited
from tests.account_domain import ACCOUNTS, AccountRow

PARTITIONS = 4


class Log:
    """Writes events as a silo would."""

    def __init__(self) -> None:
        self.store = MemoryEventStore(partitions=PARTITIONS)
        self._versions: dict[str, int] = {}

    async def write(self, *events: tuple[str, str, str]) -> dict[int, int]:
        session = await self.store.take_over("silo/0", range(PARTITIONS))
        await session.append([self._new(*event) for event in events])
        return dict(await self.store.heads())

    def _new(self, key: str, type_: str, data: str) -> NewEvent:
        stream = f"account-{key}"
        self._versions[stream] = self._versions.get(stream, 0) + 1
        partition = partition_of(stream, PARTITIONS)
        return NewEvent(partition, stream, self._versions[stream], type_, data, "{}", uuid4(), 0, b"")


Running = Callable[..., AbstractAsyncContextManager[ProjectionRunner]]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def running(log: Log, views_url: str) -> Running:
    """Starts a runner that works until the block ends."""

    async def open_log() -> EventStore:
        return log.store

    async def wait_for_news(checkpoint: Mapping[int, int]) -> None:
        while await log.store.heads() == checkpoint:
            await asyncio.wait([asyncio.ensure_future(log.store.heads())], timeout=0.005)

    @asynccontextmanager
    async def run(
        projection: AnyProjection = ACCOUNTS, open_views: Callable[[], Awaitable[ReadStore]] | None = None
    ) -> AsyncIterator[ProjectionRunner]:
        runner = ProjectionRunner(
            projection, open_log, open_views or (lambda: ReadStore.open(views_url)), wait_for_news
        )
        work = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    return run


@pytest.fixture
async def reader(views_url: str) -> AsyncIterator[ViewReader]:
    reader = ViewReader(views_url, [ACCOUNTS])
    yield reader
    await reader.close()


async def rows(reader: ViewReader, projection: Projection[Any] = ACCOUNTS) -> Sequence[BaseModel]:
    return (await reader.page(projection, after=None, limit=100)).value


async def test_view_has_everything_up_to_the_position_that_was_waited_for(
    log: Log, running: Running, reader: ViewReader
) -> None:
    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 5}'))
    async with running():
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        seen = await reader.get(ACCOUNTS, "ada")

    assert seen.value == AccountRow(id="ada", owner="Ada", balance=5)
    assert seen.positions == positions


async def test_waiting_for_what_does_not_come_ends_with_the_time_out(running: Running, reader: ViewReader) -> None:
    async with running():
        assert not await reader.wait_until(ACCOUNTS, {0: 1}, timeout_s=0.2)


async def test_row_that_does_not_exist_is_none_and_still_tells_how_far_the_view_is(
    log: Log, running: Running, reader: ViewReader
) -> None:
    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'))
    async with running():
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        seen = await reader.get(ACCOUNTS, "nobody")

    assert (seen.value, seen.positions) == (None, positions)


async def test_row_goes_when_its_fold_says_so(log: Log, running: Running, reader: ViewReader) -> None:
    await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 5}'))
    positions = await log.write(("ada", "Withdrawn", '{"amount": 5}'))
    async with running():
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert await rows(reader) == []


async def test_tally_follows_every_change_of_a_row(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    async with running():
        for events in (
            [("a", "Opened", '{"owner": "Ada"}'), ("b", "Opened", '{"owner": "Ada"}')],
            [("a", "Deposited", '{"amount": 5}'), ("b", "Deposited", '{"amount": 2}')],
            [("b", "Withdrawn", '{"amount": 2}'), ("a", "Deposited", '{"amount": 1}')],
        ):
            await reader.wait_until(ACCOUNTS, await log.write(*events), timeout_s=10)

        assert await tally(views_url) == [("Ada", 1, 6)]


async def test_two_runners_of_one_projection_do_no_harm(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    async with running(), running():
        for number in range(20):
            positions = await log.write(
                (f"a{number}", "Opened", '{"owner": "Ada"}'), (f"a{number}", "Deposited", '{"amount": 1}')
            )
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert await tally(views_url) == [("Ada", 20, 20)]


async def test_runner_that_loses_its_connection_before_the_checkpoint_goes_on_without_loss_or_repeat(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    opened_stores = 0

    async def breaking() -> ReadStore:
        nonlocal opened_stores
        opened_stores += 1
        store = await ReadStore.open(views_url)
        return store if opened_stores > 2 else BreaksAfterRows(store._connection)

    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 5}'))
    async with running(open_views=breaking):
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert opened_stores == 3
        assert await tally(views_url) == [("Ada", 1, 5)]


class BreaksAfterRows(ReadStore):
    """Loses its connection between the rows and the end of the transaction."""

    async def _write_rows(self, *arguments: Any) -> None:
        await super()._write_rows(*arguments)
        self._connection.terminate()


async def test_event_that_cannot_be_folded_stops_the_view_in_front_of_it(
    log: Log, running: Running, reader: ViewReader
) -> None:
    before = await log.write(("ada", "Opened", '{"owner": "Ada"}'))
    await log.write(("ada", "Deposited", '{"amount": "a lot"}'), ("ada", "Deposited", '{"amount": 1}'))
    async with running() as runner:
        await becomes(runner, "failed")

    assert runner.status.checkpoint == before
    assert "Deposited at version 2 of account-ada" in (runner.status.error or "")


async def test_hole_in_the_log_stops_the_view(log: Log, running: Running) -> None:
    await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 1}'))
    del log.store._partitions[partition_of("account-ada", PARTITIONS)][0]
    async with running() as runner:
        await becomes(runner, "failed")

    assert "goes on at 2 instead of 1" in (runner.status.error or "")


async def test_changed_projection_is_built_beside_and_swapped_in(
    log: Log, running: Running, reader: ViewReader
) -> None:
    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 5}'))
    async with running():
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
    changed = replace(ACCOUNTS, revision=2, on={**ACCOUNTS.on, Deposited: lambda row, _: row})

    async with running(changed) as runner:
        await becomes(runner, "running")

        assert await rows(reader) == [AccountRow(id="ada", owner="Ada", balance=0)]
        assert runner.status.version == 2


async def becomes(runner: ProjectionRunner, state: str) -> None:
    while runner.status.state != state:
        await asyncio.to_thread(lambda: None)


async def tally(views_url: str) -> list[tuple[str, int, int]]:
    connection = await asyncpg.connect(views_url)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT owner, accounts, balance FROM balances")]
    finally:
        await connection.close()
