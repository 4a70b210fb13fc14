"""More commands come than the log can take: those that are too many are refused at once, the others are done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from types import SimpleNamespace

import pytest
from typing_extensions import override

from actors.errors import Overloaded
from actors.runtime import lane
from actors.runtime.silo import SiloLimits
from actors.store.event_store import EventStore, NewEvent
from actors.store.memory import MemoryEventStore
from tests.faults.bank import Bank, any_command, postgres_bank, running_bank
from tests.faults.faulty_store import FaultySession, Plan, planned
from tests.faults.own_time import OwnTime
from tests.in_process import command

EVENTS_PER_S = 400
OVERLOAD = 5
KEYS = 200


class LimitedDisk(Plan):
    """Takes so many events in a second and no more."""

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        await asyncio.sleep(len(events) / EVENTS_PER_S)


@asynccontextmanager
async def bank_with_limited_disk() -> AsyncIterator[Bank]:
    store = MemoryEventStore(partitions=4)
    limited = planned(LimitedDisk())(store)

    async def open_store() -> EventStore:
        return limited

    limits = SiloLimits(commands=200)
    async with running_bank(open_store, lambda: nullcontext(store.scan()), limits=limits) as bank:
        for number in range(KEYS):
            await bank.history.send(bank.submit, command("open", '{"owner": "x"}', key=f"k{number}"))
        yield bank


async def deposits(bank: Bank, rate: float, seconds: float) -> float:
    """Deposits that come at a rate, whatever becomes of them. Returns how many were done in each second."""
    chance, monotonic = random.Random(0), asyncio.get_running_loop().time  # noqa: S311 - no secret
    known, began = len(bank.history.operations), monotonic()
    under_way: list[asyncio.Task[object]] = []
    while (passed := monotonic() - began) < seconds:
        for _ in range(int(passed * rate) - len(under_way)):
            deposit = command("deposit", '{"amount": 1}', key=f"k{chance.randrange(KEYS)}", patience_s=10.0)
            under_way.append(asyncio.create_task(bank.history.send(bank.submit, deposit)))
        await asyncio.sleep(0.01)
    done = sum(each.done is not None for each in bank.history.operations[known:])
    await asyncio.gather(*under_way)
    return done / seconds


@pytest.mark.parametrize("seconds", [3.0, pytest.param(60.0, marks=pytest.mark.long)])
def test_f33_overload_is_refused_at_once_and_does_not_slow_the_rest(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "MAX_WAITING", 200)
    with asyncio.Runner(loop_factory=OwnTime) as runner:
        monkeypatch.setattr("tests.faults.history.time", SimpleNamespace(monotonic=runner.get_loop().time))
        runner.run(_overload(seconds))


async def _overload(seconds: float) -> None:
    monotonic = asyncio.get_running_loop().time
    async with bank_with_limited_disk() as bank:
        peak = await deposits(bank, EVENTS_PER_S * 0.9, 1.5)
        before = len(bank.history.operations)
        goodput = await deposits(bank, EVENTS_PER_S * OVERLOAD, seconds)
        refused = [each for each in bank.history.operations[before:] if isinstance(each.outcome, Overloaded)]

        calm = monotonic()
        after = await bank.history.send(bank.submit, command("deposit", '{"amount": 1}', key="k0"))
        recovered_s = monotonic() - calm

    assert goodput >= 0.8 * peak
    assert len(refused) > EVENTS_PER_S * seconds
    assert sorted(each.ended - each.began for each in refused)[len(refused) * 99 // 100] < 0.5
    assert after.done
    assert recovered_s < 1.0


async def test_f34_memory_of_a_silo_stays_bounded_and_what_was_put_to_sleep_is_right(events_url: str) -> None:
    """A thousand accounts, room for fifty: a silo does not grow until the machine kills it."""
    chance = random.Random(0)  # noqa: S311 - no secret
    limits = SiloLimits(activations=50)
    async with postgres_bank(events_url, limits=limits) as bank:
        for turn in range(4):
            keys = [f"a{chance.randrange(1_000)}" for _ in range(500)]
            await asyncio.gather(*(bank.history.send(bank.submit, any_command(chance, key)) for key in keys))
            # Those whose command is not settled yet cannot sleep; the next ones that come make room.
            await bank.history.send(bank.submit, any_command(chance, "last"))
            assert bank.machines[0].silo.status.activations <= 550
            if turn % 2:
                await bank.machines[0].restart()
