"""Actors with homes of their own that come and go, while the log breaks and silos die: the same promises."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import nullcontext
from typing import cast

import pytest
from typing_extensions import override

from actors.runtime import own_home, placement
from actors.runtime.placement import OwnHomes, Placement
from actors.store.event_store import EventStore, NewEvent, StoreUnavailable
from actors.store.memory import MemoryEventStore
from tests.faults.bank import running_bank
from tests.faults.faulty_store import FaultySession, FaultyStore, Plan
from tests.unreliable_homes import UnreliableHomes


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 40))])
async def test_own_actors_lost_while_the_log_breaks_and_silos_die(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(placement, "PAUSE_AFTER_FAILURE_S", 0.0)
    monkeypatch.setattr(own_home, "TURNS_TIMEOUT_S", 0.05)
    chance = random.Random(seed)  # noqa: S311 - no secret
    store, every = MemoryEventStore(partitions=4), list[tuple[OwnHomes, UnreliableHomes]]()

    async def open_store() -> EventStore:
        return cast(EventStore, FaultyStore(store, lambda session: FaultySession(session, BreakSometimes(chance))))

    def own_homes() -> OwnHomes:
        homes = UnreliableHomes(chance)
        every.append((OwnHomes(Placement.OWN, homes, 15), homes))
        return every[-1][0]

    async with (
        running_bank(open_store, lambda: nullcontext(store.scan()), own_homes=own_homes) as bank,
        bank.load(seed=seed),
    ):
        for _ in range(3):
            await bank.history.more(300)
            await bank.machines[0].restart()
        await bank.history.more(300)
    for each, _ in every:
        await each.close()
    assert all(sum(homes.opened.values()) > 20 for _, homes in every)


class BreakSometimes(Plan):
    """The connection breaks, before or after the log has taken what was sent."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        await self._perhaps_break()

    @override
    async def after_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        await self._perhaps_break()

    async def _perhaps_break(self) -> None:
        await asyncio.sleep(0)
        if self._chance.random() < 0.02:
            raise StoreUnavailable("the connection broke")
