"""What can happen to a commit: done and not told, not done, slow, stuck in the middle, locked out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import cast

import asyncpg
import pytest
from typing_extensions import override

from actors.errors import OutcomeUnknown, Overloaded
from actors.runtime.client import Client
from actors.runtime.silo import SiloLimits
from actors.store import takeover
from actors.store.event_store import EventStore, NewEvent, StoreUnavailable
from tests.faults.bank import Bank, any_command, postgres_bank
from tests.faults.checker import check_recovery
from tests.faults.faulty_store import FaultySession, FaultyStore, Plan, planned
from tests.faults.history import callers
from tests.faults.proxy import postgres_proxy


class RaisesAtCommit(Plan):
    """One append in five is told to have failed; of those, one in two was written."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self.written = self.unwritten = 0

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if self._chance.random() < 0.1:
            self.unwritten += 1
            raise StoreUnavailable("before the commit")

    @override
    async def after_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if self._chance.random() < 0.1:
            self.written += 1
            raise StoreUnavailable("after the commit: fsync failed, and the row is there")


@pytest.mark.parametrize("commands", [400, pytest.param(30_000, marks=pytest.mark.long)])
async def test_f21_error_at_commit_of_which_the_row_may_be_there(events_url: str, commands: int) -> None:
    plan = RaisesAtCommit(seed=0)
    async with postgres_bank(events_url, wrap=planned(plan)) as bank, bank.load():
        await bank.history.more(commands)
        while min(plan.written, plan.unwritten) < 3:
            await bank.history.more(10)
    replayed = sum(each.done is not None and each.done.replayed for each in bank.history.operations)
    assert replayed >= plan.written
    assert not bank.history.unknown


class DiesAfterCommit(Plan):
    """The silo dies between the commit and the answers."""

    def __init__(self) -> None:
        self.bank: Bank | None = None
        self.appends = 0

    @override
    async def after_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        self.appends += 1
        if self.bank is not None and self.appends % 10 == 0:
            restart = asyncio.create_task(self.bank.machines[0].restart())
            await asyncio.shield(restart)


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.long)])
async def test_f1_silo_killed_between_commit_and_reply(events_url: str, kills: int) -> None:
    plan = DiesAfterCommit()
    async with postgres_bank(events_url, wrap=planned(plan)) as bank, bank.load():
        plan.bank = bank
        while bank.machines[0].kills < kills:
            await bank.history.more(10)
        plan.bank = None
        await bank.history.more(100)
    assert bank.transport.lost >= kills
    assert sum(each.done is not None and each.done.replayed for each in bank.history.operations) >= kills


async def test_f7_new_owner_puts_out_one_that_is_paused_inside_a_statement(events_url: str) -> None:
    """The statement was executed and not committed: its rows would block the new owner for ever."""
    async with postgres_proxy(events_url) as proxy, postgres_bank(events_url, silo_url=proxy.url) as bank, bank.load():
        await bank.history.more(100)
        with bank.history.fault("paused inside a statement") as fault:
            await proxy.stall_next_statement()
            await bank.machines[0].restart()
        await bank.history.more(100)
    assert not check_recovery(bank.history, fault, within_s=5, overlapping=20)


@pytest.mark.long
async def test_f17_silo_gives_up_a_statement_that_is_never_answered(events_url: str) -> None:
    async with postgres_proxy(events_url) as proxy, postgres_bank(events_url, silo_url=proxy.url) as bank, bank.load():
        await bank.history.more(100)
        with bank.history.fault("statement without an answer") as fault:
            await proxy.stall_next_statement()
        await bank.history.more(100)
    assert not check_recovery(bank.history, fault, within_s=10, overlapping=20)


@pytest.mark.parametrize("delay_s", [0.3, pytest.param(0.5, marks=pytest.mark.long)])
async def test_f20_slow_commits_make_larger_groups(events_url: str, delay_s: float) -> None:
    """As with a slow disk: each round takes long, so that more goes into it, and nobody waits for many of them."""
    async with (
        postgres_proxy(events_url) as proxy,
        postgres_bank(events_url, silo_url=proxy.url) as bank,
        bank.load(300, accounts=300),
    ):
        await bank.history.more(300)
        proxy.delay_s = delay_s
        began, before = monotonic(), bank.history.acknowledged
        await bank.history.more(1_200)
        rounds = (monotonic() - began) / delay_s
        in_each = (bank.history.acknowledged - before) / rounds
    waits = sorted(each.ended - each.began for each in bank.history.operations if each.began > began)
    assert in_each > 20
    assert waits[len(waits) * 99 // 100] < 12 * delay_s


MOST_COMMANDS = 150
GATEWAYS = 4
CALLERS = 200
RETRY_AFTER_S = 0.1


@asynccontextmanager
async def locked_table(url: str) -> AsyncIterator[None]:
    """As a change of the schema would lock it."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("locked_s", "lock_timeout"),
    [(3.0, "1s"), pytest.param(20.0, takeover.SESSION_SETTINGS["lock_timeout"], marks=pytest.mark.long)],
)
async def test_f22_table_locked_longer_than_the_silo_waits(
    events_url: str, locked_s: float, lock_timeout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands fail in time, nothing piles up, and the silo does not depose itself again and again."""
    monkeypatch.setitem(takeover.SESSION_SETTINGS, "lock_timeout", lock_timeout)
    limits = SiloLimits(commands=MOST_COMMANDS)
    chance = random.Random(0)  # noqa: S311 - no secret
    stores: list[FaultyStore] = []

    def counted(store: EventStore) -> EventStore:
        stores.append(FaultyStore(store, lambda session: session))
        return cast(EventStore, stores[-1])

    async with postgres_bank(events_url, limits=limits, wrap=counted) as bank:
        # A batch of one gateway fits, those of all of them do not.
        gateways = [Client(bank.transport) for _ in range(GATEWAYS)]

        async def call(caller: int) -> None:
            envelope = any_command(chance, f"a{caller}", patience_s=2.0)
            operation = await bank.history.send(gateways[caller % GATEWAYS].submit, envelope)
            if isinstance(operation.outcome, Overloaded):
                await asyncio.sleep(RETRY_AFTER_S)

        async with callers(call, CALLERS):
            await bank.history.more(200)
            before = sum(store.takeovers for store in stores)
            async with locked_table(events_url):
                with bank.history.fault("locked") as fault:
                    queued = []
                    while monotonic() < fault.began + locked_s:
                        queued.append(bank.machines[0].silo.status.queued)
                        await asyncio.sleep(0.05)
            await bank.history.more(200)
        takeovers = sum(store.takeovers for store in stores) - before
        assert bank.machines[0].alive
    assert sum(isinstance(each.outcome, Overloaded) for each in bank.history.operations) >= CALLERS - MOST_COMMANDS
    assert 0 < max(queued) <= MOST_COMMANDS
    # Each try waits for the lock as long as it may.
    assert takeovers <= locked_s / float(lock_timeout.removesuffix("s")) + 1
    assert not check_recovery(bank.history, fault, within_s=2, overlapping=50)
    answered_late = [each for each in bank.history.operations if each.ended - each.began > 3.0]
    assert all(isinstance(each.outcome, OutcomeUnknown) for each in answered_late)
