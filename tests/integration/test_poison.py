"""An event that a projection cannot take stops that projection in front of it, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from projections.projection import Projection, Recorded
from projections.view_reader import ViewReader
from tests.account import Deposited
from tests.account_domain import ACCOUNTS, BALANCES, AccountRow, Balances, deposited
from tests.integration.running_views import Log, Running, balances, rows

POISON = '{"amount": 13}'
ADA, BOB = AccountRow(id="ada", owner="Ada", balance=0), AccountRow(id="bob", owner="Bob", balance=1)

Fold = Callable[[AccountRow | None, Recorded[Deposited]], Any]


def when_poisoned(bad: Fold) -> Projection[AccountRow]:
    """The accounts, with a fold that goes wrong at one amount."""

    def fold(row: AccountRow | None, event: Recorded[Deposited]) -> AccountRow | None:
        result: AccountRow | None = bad(row, event) if event.data.amount == 13 else deposited(row, event)
        return result

    return replace(ACCOUNTS, on={**ACCOUNTS.on, Deposited: fold})


def changed(**fields: object) -> Projection[AccountRow]:
    return when_poisoned(lambda row, _: row and row.model_copy(update=fields))


def fails(*_: object) -> Any:
    raise ZeroDivisionError("a bug")


def fails_at_13(row: AccountRow) -> Balances:
    return fails() if row.balance == 13 else Balances(owner=row.owner, accounts=1, balance=row.balance)


def lacks_fields(row: AccountRow | None, _: object) -> AccountRow | None:
    only: dict[str, Any] = {"id": "ada"}
    return row and AccountRow.model_construct(**only)


def of_nobody_at_13(row: AccountRow) -> Balances:
    """A group that cannot be sorted among the others."""
    group: dict[str, Any] = {"owner": None if row.balance == 13 else row.owner, "accounts": 1, "balance": row.balance}
    return Balances.model_construct(**group)


def no_row_at_13(row: AccountRow) -> Any:
    group = {"owner": row.owner, "accounts": 1, "balance": row.balance}
    return group if row.balance == 13 else Balances(**group)


def locate(event: Recorded[Any]) -> str:
    is_poison = isinstance(event.data, Deposited) and event.data.amount == 13
    return fails() if is_poison else event.key


def locate_nowhere(event: Recorded[Any]) -> str:
    return "\0" if isinstance(event.data, Deposited) and event.data.amount == 13 else event.key


@pytest.mark.parametrize(
    ("projection", "data", "reason"),
    [
        pytest.param(ACCOUNTS, '{"amount": "a lot"}', "its data does not fit: amount: Input should", id="data"),
        pytest.param(when_poisoned(fails), POISON, "its fold raised ZeroDivisionError", id="fold"),
        pytest.param(when_poisoned(lambda *_: {}), POISON, "something else than the row 'ada'", id="no row"),
        pytest.param(changed(id="eve"), POISON, "something else than the row 'ada'", id="other row"),
        pytest.param(replace(ACCOUNTS, locate=locate), POISON, "locating its row raised", id="locate"),
        pytest.param(replace(ACCOUNTS, locate=locate_nowhere), POISON, "refuses a row", id="located nowhere"),
        pytest.param(changed(owner="\0"), POISON, "refuses a row", id="text"),
        pytest.param(replace(changed(owner=None), tallies=()), POISON, "refuses a row", id="null"),
        pytest.param(changed(balance=2**63), POISON, "refuses a row", id="number"),
        pytest.param(
            replace(when_poisoned(lacks_fields), tallies=()), POISON, "cannot be written: KeyError", id="missing field"
        ),
        pytest.param(
            replace(ACCOUNTS, tallies=(replace(BALANCES, contribution=of_nobody_at_13),)),
            POISON,
            "cannot be written: TypeError",
            id="groups without an order",
        ),
        pytest.param(
            replace(ACCOUNTS, tallies=(replace(BALANCES, contribution=no_row_at_13),)),
            POISON,
            "cannot be written: AttributeError",
            id="no group",
        ),
        pytest.param(
            replace(ACCOUNTS, tallies=(replace(BALANCES, contribution=fails_at_13),)),
            POISON,
            "tally balances raised ZeroDivisionError",
            id="tally",
        ),
    ],
)
async def test_event_that_cannot_be_folded_or_stored_stops_the_view_in_front_of_it(
    log: Log, running: Running, reader: ViewReader, projection: Projection[AccountRow], data: str, reason: str
) -> None:
    before = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("bob", "Opened", '{"owner": "Bob"}'))
    async with running(projection) as view:
        await reader.wait_until(ACCOUNTS, before, timeout_s=10)
        await log.write(("bob", "Deposited", '{"amount": 1}'), ("ada", "Deposited", data))
        status = await view.becomes("failed")

    assert status.error is not None
    assert "Deposited at version 2 of account-ada: " in status.error
    assert reason in status.error
    place = log.partition("ada")
    assert status.stopped_at is not None
    assert (status.stopped_at.stream, status.stopped_at.version) == ("account-ada", 2)
    assert (status.stopped_at.partition, status.stopped_at.position) == (place, before[place] + 2)
    assert status.checkpoint[place] == before[place] + 1
    assert (await rows(reader))[0] == ADA
    assert status.lag.events == 1
    assert status.lag.seconds > 0


async def test_view_goes_on_where_it_stopped_when_its_fold_is_mended(
    log: Log, running: Running, reader: ViewReader
) -> None:
    await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("bob", "Opened", '{"owner": "Bob"}'))
    positions = await log.write(("ada", "Deposited", POISON), ("bob", "Deposited", '{"amount": 1}'))
    async with running(when_poisoned(fails)) as broken:
        await broken.until(lambda status: status.rebuild is not None and status.rebuild.error is not None)

    async with running() as mended:
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        assert [row.balance for row in await rows(reader)] == [13, 1]
        status = await mended.becomes("running")
    assert (status.version, status.stopped_at, status.error) == (1, None, None)


async def test_other_views_go_on(log: Log, running: Running, reader: ViewReader) -> None:
    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Deposited", POISON))
    other = replace(when_poisoned(fails), name="other", tallies=())
    async with running(other) as broken, running():
        await broken.becomes("failed")

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)


async def test_type_that_this_release_does_not_know_is_left_out_or_stops_as_the_projection_says(
    log: Log, running: Running, reader: ViewReader
) -> None:
    positions = await log.write(("ada", "Opened", '{"owner": "Ada"}'), ("ada", "Sealed", "{}"))
    careful = replace(ACCOUNTS, name="careful", tallies=(), unknown="stop")
    async with running(), running(careful) as stopped:
        status = await stopped.becomes("failed")

        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)
    assert "Sealed at version 2 of account-ada: this release does not know" in (status.error or "")


async def test_hole_in_the_log_stops_the_view(log: Log, running: Running) -> None:
    await log.write(("ada", "Opened", '{"owner": "Ada"}'), *[("ada", "Deposited", '{"amount": 1}')] * 2)
    del log.store._partitions[log.partition("ada")][0]
    async with running() as view:
        status = await view.becomes("failed")

    assert "lacks 1 events up to position 3" in (status.error or "")


async def test_sums_may_be_larger_than_any_of_their_rows(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    largest = 2**63 - 1
    positions = await log.write(
        *((key, "Opened", '{"owner": "Ada"}') for key in "ab"),
        *((key, "Deposited", f'{{"amount": {largest}}}') for key in "ab"),
    )
    async with running():
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

    assert await balances(views_url) == [("Ada", 2, 2 * largest)]
