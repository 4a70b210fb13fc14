"""A view keeps up with the log: what is in it, when, and what losing a connection or a race does to it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from typing_extensions import override

from actors.store.event_store import Mark, Marks, Stretch, positions_of
from actors.store.memory import MemoryEventStore
from projections import read_store
from projections.build import Build
from projections.errors import LostRace, ViewsUnavailable
from projections.folding import Aside, Folded
from projections.follower import BUSY_ROUND_S, ROUND_OF_OTHERS_S, ROUND_S
from projections.read_store import ReadStore
from projections.share import Share
from projections.status import Lag
from projections.versions import Versions
from projections.view_reader import ViewReader
from tests.account_domain import ACCOUNTS, AccountRow
from tests.integration.running_views import PARTITIONS, Log, Running, balances, rows

# A view whose rows are folded from several actors.
SHARED = replace(ACCOUNTS, locate=lambda _: "shared")
FOLLOWING = "SELECT share FROM runners WHERE NOT building ORDER BY share"


async def test_view_has_everything_up_to_the_position_that_was_waited_for(
    log: Log, running: Running, reader: ViewReader
) -> None:
    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 5}'))
    async with running():
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        seen = await reader.get(ACCOUNTS, "ada")

    assert seen.value == AccountRow(id="ada", owner="Ada", balance=5)
    assert positions_of(seen.checkpoint) == positions


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

    assert (seen.value, positions_of(seen.checkpoint)) == (None, positions)


async def test_row_goes_when_its_fold_says_so(log: Log, running: Running, reader: ViewReader) -> None:
    await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", '{"amount": 5}'))
    positions = await log.write(("ada", "Withdrawn", '{"amount": 5}'))
    async with running():
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert await rows(reader) == []


async def test_process_that_was_paused_in_a_transaction_stops_the_view_for_a_bounded_time(
    log: Log, running: Running, reader: ViewReader, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_store, "IDLE_IN_TRANSACTION", "1s")
    await log.write(("ada", "Opened", '{"owner": "Ada"}'))
    async with running() as view:
        await view.becomes("running")
        paused = await ReadStore.open(views_url)
        await paused.connection.execute("BEGIN; SELECT FROM checkpoints FOR UPDATE")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'))

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=20)
        await paused.close()


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

        assert await balances(views_url) == [("Ada", 1, 6)]


async def test_two_runners_of_one_projection_do_no_harm(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    async with running(), running():
        for number in range(20):
            positions = await log.write(
                (f"a{number}", "Opened", '{"owner": "Ada"}'), (f"a{number}", "Deposited", '{"amount": 1}')
            )
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert await balances(views_url) == [("Ada", 20, 20)]


async def test_runners_of_an_older_service_that_had_more_are_forgotten(running: Running, views_url: str) -> None:
    """They are at work until that service has stopped, and would be told as silent for ever."""
    connection = await asyncpg.connect(views_url)

    async def runners_are(*shares: int) -> None:
        async with asyncio.timeout(10):
            while [row["share"] for row in await connection.fetch(FOLLOWING)] != list(shares):
                pass

    async with running() as newer:
        await newer.becomes("running")
        async with running(share=Share(1, 2)):
            await runners_are(0, 1)
        await runners_are(0)
    await connection.close()


async def test_runner_that_loses_the_answer_to_what_it_wrote_goes_on_without_loss_or_repeat(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    answers = Answers(views_url)
    async with running(open_views=answers.open):
        opened = await log.write(("ada", "Opened", '{"owner": "Ada"}'))
        assert await reader.wait_until(ACCOUNTS, opened, timeout_s=10)
        answers.next_is_lost = True
        paid = await log.write(("ada", "Deposited", '{"amount": 5}'))
        assert await reader.wait_until(ACCOUNTS, paid, timeout_s=10)
        paid = await log.write(("ada", "Deposited", '{"amount": 2}'))
        assert await reader.wait_until(ACCOUNTS, paid, timeout_s=10)

        assert not answers.next_is_lost
        assert await rows(reader) == [AccountRow(id="ada", owner="Ada", balance=7)]
        assert await balances(views_url) == [("Ada", 1, 7)]


class Answers:
    """What the read database answers to who writes. At worst, an answer is lost while the server has yet to write."""

    def __init__(self, views_url: str) -> None:
        self.next_is_lost = False
        self._views_url = views_url
        self._unwritten: tuple[Any, ...] | None = None

    async def open(self) -> ReadStore:
        store = await LosesAnswers.open(self._views_url)
        store.answers = self
        return store

    def lose(self, write: tuple[Any, ...]) -> None:
        """It is written at the worst moment: when the place to go on from has been looked up."""
        self.next_is_lost, self._unwritten = False, write
        raise ViewsUnavailable

    async def write(self) -> None:
        if self._unwritten is not None:
            write, self._unwritten = self._unwritten, None
            server = await ReadStore.open(self._views_url)
            await server.commit(*write)
            await server.close()


class LosesAnswers(ReadStore):
    """A connection over which an answer may be lost."""

    answers: Answers

    @override
    async def place(self, build: Build) -> tuple[Marks, Aside]:
        found = await super().place(build)
        await self.answers.write()
        return found

    @override
    async def commit(self, *write: Any) -> None:
        if self.answers.next_is_lost:
            self.answers.lose(write)
        await super().commit(*write)


async def test_copy_whose_row_another_copy_has_changed_from_another_partition_writes_nothing(
    log: Log, views_url: str
) -> None:
    slow, fast = await ReadStore.open(views_url), await ReadStore.open(views_url)
    wanted = await Versions(slow.connection, SHARED).wanted(log.store.info)
    assert wanted is not None
    build, _ = wanted
    start, _ = await slow.place(build)
    row = AccountRow(id="shared", owner="Ada", balance=1)
    await fast.commit(build, start, {0: Mark(1, 7)}, Folded({0: 1}, {"shared": (None, row)}))

    with pytest.raises(LostRace):
        await slow.commit(build, start, {1: Mark(1, 7)}, Folded({1: 1}, {"shared": (None, row)}))
    with pytest.raises(LostRace):
        await slow.commit(build, start, {1: Mark(1, 7)}, Folded({1: 1}))

    assert (await slow.place(build))[0] == {**start, 0: Mark(1, 7)}
    assert await balances_of_build(views_url) == [1]
    await slow.close()
    await fast.close()


class NotesReads(MemoryEventStore):
    """Notes when it was read, and what was found."""

    def __init__(self) -> None:
        super().__init__(partitions=PARTITIONS)
        self.reads: list[tuple[float, Stretch]] = []

    @override
    async def follow(self, *arguments: Any, **wanted: Any) -> Stretch:
        began = time.monotonic()
        self.reads.append((began, await super().follow(*arguments, **wanted)))
        return self.reads[-1][1]


async def test_view_takes_together_what_comes_in_a_round_and_longer_when_much_or_nothing_is_its_own(
    log: Log, running: Running, reader: ViewReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who waits calls after 40 ms, and with that the round would be over.
    monkeypatch.setattr("projections.watch.CALL_AFTER_S", 3_600.0)
    log.store = store = NotesReads()
    written: list[float] = []
    async with running() as view:
        await view.becomes("running")
        store.reads.clear()
        for busy_from_per_s, type_ in ((2_000, "Opened"), (2_000, "Sealed"), (0, "Opened")):
            monkeypatch.setattr("projections.follower.BUSY_FROM_PER_S", busy_from_per_s)
            written.append(time.monotonic())
            positions = await log.write(("ada", type_, '{"owner": "Ada"}'))
            assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
            await view.until(lambda _: not store.reads[-1][1].ends)

    ended = [after for (_, read), (after, _) in pairwise(store.reads) if read.ends]
    for began, after, longest in zip(written, ended, (ROUND_S, ROUND_OF_OTHERS_S, BUSY_ROUND_S), strict=True):
        assert after - began > 0.95 * longest


async def test_reader_who_waits_calls_a_view_that_takes_its_time(
    log: Log, running: Running, reader: ViewReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.follower.ROUND_OF_OTHERS_S", 3_600.0)
    async with running() as view:
        await view.becomes("running")
        for _ in range(2):
            positions = await log.write(("ada", "Sealed", "{}"))
            assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)


async def test_view_that_has_everything_has_no_lag(log: Log, running: Running, reader: ViewReader) -> None:
    async with running() as view:
        await view.becomes("running")
        positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'))
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        status = await view.until(lambda status: status.events_per_s > 0)

    assert status.lag == Lag(events=0, seconds=0.0)
    assert status.checkpoint == positions


async def balances_of_build(views_url: str) -> list[int]:
    connection = await asyncpg.connect(views_url)
    try:
        return [row["balance"] for row in await connection.fetch("SELECT balance FROM accounts_v1")]
    finally:
        await connection.close()
