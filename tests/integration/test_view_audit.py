"""Each way in which a view can differ from a replay of the log is found."""

from __future__ import annotations

import asyncpg
import pytest

from actors.store.event_store import EventStore
from projections import read_store
from projections.read_store import ReadStore
from projections.view_audit import Difference, audit_view
from projections.view_reader import ViewReader
from tests.account_domain import ACCOUNTS
from tests.integration.running_views import Log, Running, audited
from tests.integration.test_parking import BROKEN, opened, stopped
from tests.integration.test_poison import POISON

ADA = '{"id":"ada","owner":"Ada","balance":5,"note":null}'
BOB = '{"id":"bob","owner":"Bob","balance":1,"note":null}'


async def build(log: Log, running: Running, reader: ViewReader) -> None:
    await opened(log)
    positions = await log.write(("ada", "Deposited", '{"amount": 5}'), ("bob", "Deposited", '{"amount": 1}'))
    async with running():
        assert await reader.wait_until(ACCOUNTS, positions, timeout_s=10)


async def test_view_that_equals_a_replay_passes(log: Log, running: Running, reader: ViewReader, views_url: str) -> None:
    await build(log, running, reader)

    audit = await audited(log, views_url)

    assert (audit.events, audit.rows, audit.left_out, audit.difference) == (4, 2, 0, None)


async def test_view_that_is_behind_the_log_is_compared_at_its_checkpoint(
    log: Log, running: Running, reader: ViewReader, views_url: str
) -> None:
    await build(log, running, reader)
    await log.write(("ada", "Deposited", '{"amount": 5}'))

    assert (await audited(log, views_url)).difference is None


@pytest.mark.parametrize(
    ("damage", "difference"),
    [
        ("UPDATE accounts_v1 SET balance = 6 WHERE id = 'ada'", ("accounts_v1", "ada", ADA.replace("5", "6"), ADA)),
        ("DELETE FROM accounts_v1 WHERE id = 'bob'", ("accounts_v1", "bob", None, BOB)),
        (
            "INSERT INTO accounts_v1 VALUES ('eve', 'Eve', 9, NULL)",
            ("accounts_v1", "eve", '{"id":"eve","owner":"Eve","balance":9,"note":null}', None),
        ),
        (
            "UPDATE balances_v1 SET balance = 7 WHERE owner = 'Ada'",
            ("balances_v1", "Ada", "{'accounts': 1, 'balance': 7}", "{'accounts': 1, 'balance': 5}"),
        ),
        ("DELETE FROM balances_v1 WHERE owner = 'Ada'", ("balances_v1", "Ada", None, "{'accounts': 1, 'balance': 5}")),
    ],
)
async def test_first_difference_is_told(
    log: Log, running: Running, reader: ViewReader, views_url: str, damage: str, difference: tuple[str | None, ...]
) -> None:
    await build(log, running, reader)
    connection = await asyncpg.connect(views_url)
    await connection.execute(damage)
    await connection.close()

    found = (await audited(log, views_url)).difference

    assert found is not None
    assert found._asdict() == dict(zip(Difference._fields, difference, strict=True))


async def test_parked_events_are_left_out(log: Log, running: Running, reader: ViewReader, views_url: str) -> None:
    await opened(log)
    async with running(BROKEN) as view:
        await view.becomes("running")
        await log.write(("ada", "Deposited", POISON))
        await view.decide((await stopped(view)).id, "park")
        positions = await log.write(("ada", "Deposited", '{"amount": 1}'))
        await reader.wait_until(ACCOUNTS, positions, timeout_s=10)

        audit = await audited(log, views_url, BROKEN)

    assert (audit.left_out, audit.difference) == (2, None)


async def test_audit_may_read_the_log_for_longer_than_a_transaction_may_stand_still(
    log: Log, running: Running, reader: ViewReader, views_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build(log, running, reader)
    monkeypatch.setattr(read_store, "IDLE_IN_TRANSACTION", "100ms")
    views, other = await ReadStore.open(views_url), await asyncpg.connect(views_url)

    async def open_log(_: int) -> EventStore:
        pid = views.connection.get_server_pid()
        stands = "SELECT clock_timestamp() - state_change < '1 second' FROM pg_stat_activity WHERE pid = $1"
        while await other.fetchval(stands, pid):
            pass
        return log.store

    audit = await audit_view(ACCOUNTS, views.connection, open_log)
    await views.close()
    await other.close()

    assert audit.difference is None
