from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from actors.runtime import own_home, placement
from actors.runtime.activation import Activation
from actors.runtime.home import Home, HomeLost
from actors.runtime.own_home import OwnHome, Resident, Round, encode_round
from actors.runtime.placement import BUSY_COMMANDS, OPENED_AT_ONCE, OWN_PATIENCE_S, Activity, Placement
from actors.runtime.silo import Silo
from actors.runtime.turn import Turn
from actors.runtime.wire import CommandEnvelope, Done, Failed, NotNow, Outcome, decode_outcomes, encode
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT, Account
from tests.identity_provider import Clock
from tests.in_process import LocalHome, LocalHomes, command, running_silos
from tests.unreliable_homes import UnreliableHomes

ADA = "account-ada"


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore(partitions=4)


@pytest.fixture
def homes() -> LocalHomes:
    return LocalHomes([ACCOUNT])


async def send(silo: Silo, *commands: CommandEnvelope) -> list[Outcome]:
    return decode_outcomes(await silo.execute(encode(commands)))


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - it is about the work of others in this loop
        await asyncio.sleep(0)


def opening(key: str = "ada") -> CommandEnvelope:
    return command("open", '{"owner": "x"}', key=key)


def deposit(amount: int, key: str = "ada", **fields: Any) -> CommandEnvelope:
    return command("deposit", json.dumps({"amount": amount}), key=key, **fields)


async def amounts(store: MemoryEventStore, stream: str = ADA) -> list[int]:
    """What was deposited, oldest first."""
    history = await store.read_stream(stream)
    assert [event.version for event in history] == list(range(1, len(history) + 1))
    return [json.loads(event.data)["amount"] for event in history if event.type == "Deposited"]


async def test_own_actor_has_its_home_when_its_first_command_is_answered(
    store: MemoryEventStore, homes: LocalHomes
) -> None:
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        (outcome,) = await send(silo, opening())

        assert isinstance(outcome, Done)
        assert homes.open_now[ADA].rounds == 1
        assert silo.status.own_homes == {ADA: homes.open_now[ADA].address}


async def test_commands_that_gather_while_a_home_works_are_sent_there_together(
    store: MemoryEventStore, homes: LocalHomes
) -> None:
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening())
        gate = _gate(homes.open_now[ADA])
        answers = [asyncio.create_task(send(silo, deposit(0)))]
        await until(lambda: homes.open_now[ADA].rounds == 2)
        answers += [asyncio.create_task(send(silo, deposit(number))) for number in range(1, 20)]
        await until(lambda: silo.status.queued == 20)
        gate.set()
        await asyncio.gather(*answers)

        assert homes.open_now[ADA].rounds == 3
    assert await amounts(store) == list(range(20))


class NoHomes(LocalHomes):
    @override
    async def open(self, stream: str, partition: int) -> Home:
        raise ZeroDivisionError


async def test_home_that_cannot_be_opened_for_a_reason_that_nobody_foresaw_keeps_no_command_waiting(
    store: MemoryEventStore,
) -> None:
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=NoHomes([ACCOUNT])) as (silo,):
        async with asyncio.timeout(OWN_PATIENCE_S / 2):
            (outcome,) = await send(silo, opening())
        await until(lambda: not silo._own_homes._keepers)

    assert isinstance(outcome, Done)


async def test_homes_are_opened_two_at_a_time(store: MemoryEventStore, homes: LocalHomes) -> None:
    homes.door.clear()
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        answers = [asyncio.create_task(send(silo, opening(key))) for key in ("ada", "bob", "cleo", "dan")]
        await until(lambda: homes.at_the_door == OPENED_AT_ONCE)
        await until(lambda: len(silo._own_homes._keepers) == 4)
        assert homes.at_the_door == OPENED_AT_ONCE
        homes.door.set()
        await asyncio.gather(*answers)

        assert all(home.rounds for home in homes.open_now.values())
        assert len(homes.open_now) == 4


async def test_busy_actor_moves_between_two_turns(store: MemoryEventStore, homes: LocalHomes) -> None:
    homes.door.clear()
    async with running_silos(store, [ACCOUNT], placement=Placement.AUTO, homes=homes) as (silo,):
        await send(silo, opening(), *(deposit(number) for number in range(100)))
        assert not silo.status.own_homes

        answers = [asyncio.create_task(send(silo, deposit(number))) for number in range(100, 150)]
        homes.door.set()
        answers += [asyncio.create_task(send(silo, deposit(number))) for number in range(150, 200)]
        await until(lambda: silo.status.own_homes)
        answers += [asyncio.create_task(send(silo, deposit(number))) for number in range(200, 300)]
        await asyncio.gather(*answers)

        assert homes.open_now[ADA].rounds > 0
    assert await amounts(store) == list(range(300))


@pytest.mark.parametrize("moment", ["before_turns", "after_turns"])
async def test_home_lost_in_its_turn_is_replaced_and_nothing_is_lost_or_doubled(
    store: MemoryEventStore, homes: LocalHomes, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(placement, "PAUSE_AFTER_FAILURE_S", 0.0)
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening())
        setattr(homes.open_now[ADA], moment, _lose)

        answers = [asyncio.create_task(send(silo, deposit(number))) for number in range(50)]
        outcomes = [outcome for (outcome,) in await asyncio.gather(*answers)]
        assert [outcome.version for outcome in outcomes if isinstance(outcome, Done)] == list(range(2, 52))
        await send(silo, deposit(50))

        assert homes.opened[ADA] == 2
        assert homes.open_now[ADA].rounds == 1
    assert await amounts(store) == list(range(51))


async def test_home_that_does_not_answer_is_given_up_and_its_late_answer_is_ignored(
    store: MemoryEventStore, homes: LocalHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "PAUSE_AFTER_FAILURE_S", 0.0)
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening())
        paused = homes.open_now[ADA]
        late = _gate(paused)

        with monkeypatch.context() as hasty:
            hasty.setattr(own_home, "TURNS_TIMEOUT_S", 0.02)
            await send(silo, deposit(1), deposit(2))
        await send(silo, deposit(3))
        late.set()
        await send(silo, deposit(4))

        assert homes.open_now[ADA] is not paused
    assert await amounts(store) == [1, 2, 3, 4]


async def test_command_that_waits_beyond_its_deadline_is_not_decided(
    store: MemoryEventStore, homes: LocalHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "OWN_PATIENCE_S", 0.05)
    homes.door.clear()
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        patient, hurried = await send(silo, opening(), deposit(1, patience_s=0.01))

    assert isinstance(patient, Done)
    assert isinstance(hurried, NotNow)
    assert await amounts(store) == []


@pytest.mark.parametrize("full", [True, False])
async def test_actor_lives_in_its_silo_while_it_can_have_no_home(
    store: MemoryEventStore, homes: LocalHomes, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setattr(placement, "OWN_PATIENCE_S", 0.01)
    homes.full = full
    if not full:
        homes.door.clear()
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening(), deposit(1))
        await send(silo, deposit(2))

        assert not silo.status.own_homes
    assert await amounts(store) == [1, 2]


async def test_turns_of_a_dropped_activation_that_come_back_later_are_ignored(
    store: MemoryEventStore, homes: LocalHomes
) -> None:
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening())
        gate = _gate(homes.open_now[ADA], skip=1)
        unstorable = asyncio.create_task(send(silo, command("weigh", '{"weight": Infinity}')))
        await until(lambda: homes.open_now[ADA].rounds == 2)
        deposits = [asyncio.create_task(send(silo, deposit(number))) for number in range(3)]
        (refused,) = await unstorable
        gate.set()
        outcomes = [outcome for (outcome,) in await asyncio.gather(*deposits)]

        assert isinstance(refused, Failed)
        assert [outcome.version for outcome in outcomes if isinstance(outcome, Done)] == [2, 3, 4]
    assert await amounts(store) == [0, 1, 2]


async def test_budget_is_given_back_by_idle_homes(
    store: MemoryEventStore, homes: LocalHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(0.0)
    monkeypatch.setattr(own_home, "time", SimpleNamespace(monotonic=clock))
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes, most_homes=1, idle_s=0.05) as (
        silo,
    ):
        await send(silo, opening())
        await send(silo, opening("bob"))
        assert list(silo.status.own_homes) == [ADA]

        clock.at += 1.0
        while "account-bob" not in silo.status.own_homes:
            await send(silo, deposit(1, "bob"))
        assert list(homes.open_now) == ["account-bob"]
        await send(silo, deposit(1), deposit(2))
    assert await amounts(store) == [1, 2]


async def test_kind_of_actor_that_does_not_live_long_gets_no_home(store: MemoryEventStore, homes: LocalHomes) -> None:
    brief = replace(ACCOUNT, lives_long=False)
    async with running_silos(store, [brief], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening())

    assert not homes.opened


async def test_only_busy_actors_move_by_themselves(store: MemoryEventStore, homes: LocalHomes) -> None:
    async with running_silos(store, [ACCOUNT], placement=Placement.AUTO, homes=homes) as (silo,):
        await send(silo, *(opening(f"a{number}") for number in range(200)))
        await send(silo, opening(), *(deposit(number) for number in range(BUSY_COMMANDS)))
        await send(silo, *(deposit(1, "bob") for number in range(BUSY_COMMANDS)))
        await until(lambda: silo.status.own_homes)

    assert list(homes.opened) == [ADA]


async def test_busy_is_who_has_a_hundredth_of_all_commands() -> None:
    activity = Activity()
    for number in range(2000):
        activity.count(f"a{number}", 1)

    assert not any(activity.count("ada", 1) for _ in range(20))
    assert activity.count("ada", 1)
    activity.forget()
    assert not any(activity.count("ada", 1) for _ in range(BUSY_COMMANDS - 1))
    assert activity.count("ada", 1)


async def test_actor_whose_state_cannot_be_sent_stays_in_its_silo(store: MemoryEventStore, homes: LocalHomes) -> None:
    async with running_silos(store, [replace(ACCOUNT, initial=Bound())], placement=Placement.OWN, homes=homes) as (
        silo,
    ):
        await send(silo, opening())
        outcomes = [outcome for number in range(3) for outcome in await send(silo, deposit(number))]

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert homes.opened[ADA] == 1


async def test_drained_silo_has_closed_all_homes(store: MemoryEventStore, homes: LocalHomes) -> None:
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening(), opening("bob"))
        await silo.drain()

        assert not homes.open_now


async def test_home_that_has_another_state_takes_no_turn() -> None:
    activation: Activation[Any] = Activation(ACCOUNT, ADA, 0)
    local = LocalHome(Resident(ACCOUNT, ADA, 0), lambda: None)
    home = OwnHome(local)
    (turn,) = await home.take_turns(activation, [opening()], "silo/0")
    activation.follow(turn.events)
    local.resident = Resident(ACCOUNT, ADA, 0)

    with pytest.raises(HomeLost, match="does not have the state"):
        await home.take_turns(activation, [deposit(1)], "silo/0")


async def test_round_that_comes_too_late_changes_nothing() -> None:
    resident, states = Resident(ACCOUNT, ADA, 0), Activation[Any](ACCOUNT, ADA, 0).dehydrate()
    turns = msgspec.msgpack.Decoder(list[Turn])
    first, second = (Round(number, 0, states, "silo/0", [opening()]) for number in (1, 2))

    assert len(turns.decode(resident.take_turns(encode_round(second)))) == 1
    assert turns.decode(resident.take_turns(encode_round(first))) == []
    assert len(turns.decode(resident.take_turns(encode_round(Round(2, 1, None, "silo/0", [deposit(1)]))))) == 1


@pytest.mark.parametrize("seed", range(20))
async def test_homes_that_come_and_go_change_nothing(
    store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(placement, "PAUSE_AFTER_FAILURE_S", 0.0)
    chance = random.Random(seed)  # noqa: S311
    keys = ["ada", "bob", "eve"]
    homes = UnreliableHomes(chance)
    async with running_silos(store, [ACCOUNT], placement=Placement.OWN, homes=homes, most_homes=2) as (silo,):
        answers = [asyncio.create_task(send(silo, *(opening(key) for key in keys)))]
        for number in range(200):
            answers.append(asyncio.create_task(send(silo, *(deposit(number, key) for key in keys))))
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        outcomes = [outcome for batch in await asyncio.gather(*answers) for outcome in batch]

    assert all(isinstance(outcome, Done) and not outcome.replayed for outcome in outcomes)
    for key in keys:
        assert await amounts(store, f"account-{key}") == list(range(200))
    assert sum(homes.opened.values()) > 3


class Bound(Account, frozen=True):
    """A state that does not leave its process."""

    @override
    def __reduce__(self) -> str:
        raise TypeError("not to be pickled")


async def _lose() -> None:
    raise HomeLost("killed")


def _gate(home: LocalHome, *, skip: int = 0) -> asyncio.Event:
    """After `skip` more rounds the home works only when the gate is open."""
    gate, first = asyncio.Event(), home.rounds + skip + 1

    async def pass_gate() -> None:
        if home.rounds >= first:
            await gate.wait()

    home.before_turns = pass_gate
    return gate
