"""An event that cannot be folded is parked, skipped or retried by somebody; the order within its row is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from projections.build import Build
from projections.build_writer import BuildWriter
from projections.errors import NotParked, NotPossible
from projections.folding import Folding
from projections.pace import Pace
from projections.parking import Decided, ParkedEvent, Parking
from projections.projection import Recorded
from projections.read_store import ReadStore
from projections.view_reader import ViewReader
from tests.account import Deposited, Opened
from tests.account_domain import ACCOUNTS, AccountRow
from tests.integration.running_views import Log, Running, Steered, balances, rows
from tests.integration.test_poison import POISON, fails, locate, when_poisoned

BROKEN = when_poisoned(fails)
UNLOCATED = replace(ACCOUNTS, locate=locate)


def last(row: AccountRow | None, event: Recorded[Deposited]) -> AccountRow | None:
    """What an account has is what was deposited last, so that the order tells."""
    return row and row.model_copy(update={"balance": event.data.amount})


def summed(row: AccountRow | None, event: Recorded[Deposited]) -> AccountRow:
    return AccountRow(id="shared", owner="all", balance=(row.balance if row else 0) + event.data.amount)


def shared(event: Recorded[Any]) -> str:
    return locate(event) and "shared"


SHARED = replace(ACCOUNTS, locate=lambda _: "shared", on={Deposited: summed}, tallies=())
SHARED_BROKEN = replace(SHARED, locate=shared)


async def opened(log: Log) -> None:
    await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("bob", "Opened", '{"owner": "Bob"}'))


async def stopped(view: Steered) -> ParkedEvent:
    """The event at which a view stands."""
    await view.becomes("failed")
    (event,) = await view.parked()
    return event


async def balances_of(reader: ViewReader) -> dict[str, int]:
    return {row.id: row.balance for row in await rows(reader)}


async def test_event_at_which_a_view_stands_is_listed_with_its_payload_and_the_reason(
    log: Log, running: Running
) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))

        event = await stopped(view)

    assert (event.state, event.key, event.stream, event.stream_version) == ("stopped", "ada", "account-ada", 2)
    assert (event.type, event.data) == ("Deposited", {"amount": 13})
    assert event.error == "its fold raised ZeroDivisionError: a bug"


async def test_parked_event_holds_later_ones_of_its_row_and_no_others(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        await view.decide((await stopped(view)).id, "park")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'), ("bob", "Deposited", '{"amount": 2}'))

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert await balances_of(reader) == {"ada": 0, "bob": 2}
        assert [(each.state, each.data, each.error is None) for each in await view.parked()] == [
            ("parked", {"amount": 13}, False),
            ("parked", {"amount": 1}, True),
        ]
        assert (await view.becomes("running")).parked == 2


async def test_retry_folds_what_is_parked_of_a_row_in_its_order(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        event = await stopped(view)
        await view.decide(event.id, "park")
        # In another order the account would be emptied in between, and its row would go.
        held = await log.write(("ada", "Withdrawn", '{"amount": 12}'), ("ada", "Deposited", '{"amount": 4}'))
        await reader.wait_until(ACCOUNTS, held, timeout_s=10)
        still = await view.decide(event.id, "retry")
    async with running() as mended:
        decided = await mended.decide(event.id, "retry")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'))
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert still == Decided(folded=0, waiting=3, error="its fold raised ZeroDivisionError: a bug")
        assert decided == Decided(folded=3, waiting=0, error=None)
        assert await mended.parked() == []
        assert await balances_of(reader) == {"ada": 6, "bob": 0}
        assert sorted(await balances(views_url)) == [("Ada", 1, 6), ("Bob", 1, 0)]


async def test_skipped_event_is_left_out_and_what_waits_behind_it_is_folded(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        event = await stopped(view)
        await view.decide(event.id, "park")
        held = await log.write(("ada", "Deposited", '{"amount": 1}'))
        await reader.wait_until(ACCOUNTS, held, timeout_s=10)

        decided = await view.decide(event.id, "skip")

        assert decided == Decided(folded=1, waiting=0, error=None)
        assert await balances_of(reader) == {"ada": 1, "bob": 0}
        assert [each.state for each in await view.parked()] == ["skipped"]
        with pytest.raises(NotPossible, match="for ever"):
            await view.decide(event.id, "retry")


async def test_skip_of_the_event_at_which_a_view_stands_lets_it_go_on(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        positions = await log.write(("ada", "Deposited", POISON), ("ada", "Deposited", '{"amount": 1}'))
        await view.decide((await stopped(view)).id, "skip")

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        assert await balances_of(reader) == {"ada": 1, "bob": 0}


async def test_parked_events_of_a_view_outlive_its_process(log: Log, running: Running, reader: ViewReader) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        await view.decide((await stopped(view)).id, "park")
    positions = await log.write(("ada", "Deposited", '{"amount": 1}'))
    async with running(BROKEN) as again:
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert [each.state for each in await again.parked()] == ["parked", "parked"]


async def test_nothing_can_be_decided_about_what_is_not_there(log: Log, running: Running) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")

        with pytest.raises(NotParked):
            await view.decide(7, "park")


async def test_event_without_a_known_row_holds_its_stream(log: Log, running: Running, reader: ViewReader) -> None:
    located = replace(
        ACCOUNTS,
        locate=lambda event: f"of {event.key}",
        on={**ACCOUNTS.on, Opened: lambda _, event: AccountRow(id=f"of {event.key}", owner="x", balance=0)},
    )
    await opened(log)
    async with running(located) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", '{"amount": "a lot"}'))
        await view.decide((await stopped(view)).id, "park")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'), ("bob", "Deposited", '{"amount": 2}'))

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        assert await balances_of(reader) == {"of ada": 0, "of bob": 2}
        assert [each.key for each in await view.parked()] == [None, "of ada"]


async def test_retry_of_what_waits_behind_an_event_without_a_known_row_does_not_overtake_it(
    log: Log, running: Running, reader: ViewReader
) -> None:
    broken, mended = (replace(each, on={**ACCOUNTS.on, Deposited: last}) for each in (UNLOCATED, ACCOUNTS))
    await opened(log)
    async with running(broken) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        await view.decide((await stopped(view)).id, "park")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'))
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        front, behind = await view.parked()
        overtaking = await view.decide(behind.id, "retry")
    async with running(mended) as view:
        decided = await view.decide(behind.id, "retry")

    assert overtaking == Decided(folded=0, waiting=2, error=front.error)
    assert decided == Decided(folded=2, waiting=0, error=None)
    assert await balances_of(reader) == {"ada": 1, "bob": 0}


async def test_events_of_others_do_not_wait_behind_what_waits_for_an_event_without_a_known_row(
    log: Log, running: Running, reader: ViewReader
) -> None:
    async with running(SHARED_BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        await view.decide((await stopped(view)).id, "park")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'))
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
    async with running(SHARED) as view:
        positions = await log.write(("bob", "Deposited", '{"amount": 2}'))
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
        meanwhile = await balances_of(reader)
        front, _ = await view.parked()
        await view.decide(front.id, "retry")

        assert meanwhile == {"shared": 2}
        assert await view.parked() == []
        assert await balances_of(reader) == {"shared": 16}


async def test_row_that_was_in_memory_when_a_retry_changed_it_is_not_written(
    log: Log, running: Running, views_url: str
) -> None:
    async with running(SHARED_BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        event = await stopped(view)
        await view.decide(event.id, "park")
    views, other = await ReadStore.open(views_url), await ReadStore.open(views_url)
    writer = BuildWriter(log.store, views, Build(SHARED, 1), Folding(SHARED), Pace())
    await writer.find_place()
    for amount in (2, 4):
        await log.write(("bob", "Deposited", f'{{"amount": {amount}}}'))
        while not await writer.put(await writer.read(writer.positions, 1)):
            pass
        if amount == 2:
            await Parking(other, SHARED).retry(event.id)
    rows_now = await views.load(writer.build, ["shared"])
    await views.close()
    await other.close()

    assert rows_now["shared"].balance == 2 + 13 + 4
