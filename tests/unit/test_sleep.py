"""Who goes to sleep, and when."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from actors.runtime.activation import Activation, Activations
from actors.runtime.delivery import Delivery
from actors.runtime.silo import SiloLimits
from actors.runtime.sleep import Sleep
from actors.runtime.wire import Done, decode_outcomes, encode
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT
from tests.in_process import command, running_silos

LIMIT = 1_000_000


@dataclass
class Bedroom:
    """Activations with a clock and a memory that the test sets."""

    bound: int = 10_000
    clock: float = 0.0
    memory: int = 0
    asleep: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.activations: Activations[Delivery] = Activations(
            self.bound, lambda: self.clock, lambda activation: self.asleep.append(activation.stream)
        )
        self._sleep = Sleep("silo/0", self.activations, 60.0, LIMIT, lambda: self.clock, lambda: self.memory)

    def wake(self, *streams: str) -> None:
        for stream in streams:
            activation: Activation[Delivery] = Activation(ACCOUNT, stream, 0)
            activation.mailbox = None
            self.activations.add(activation)

    async def sweep(self, *, memory: int = 0) -> int:
        self.memory = memory
        await self._sleep.sweep()
        return len(self.activations)


@pytest.fixture
def bedroom() -> Bedroom:
    return Bedroom()


async def test_actor_that_nobody_needs_goes_to_sleep_after_a_while(bedroom: Bedroom) -> None:
    bedroom.wake("ada", "bob", "cleo")
    bedroom.clock = 50
    bedroom.activations.find("bob")
    assert await bedroom.sweep() == 3

    bedroom.clock = 100
    assert await bedroom.sweep() == 1
    assert bedroom.asleep == ["ada", "cleo"]


async def test_all_idle_actors_go_to_sleep_in_one_sweep_however_many(bedroom: Bedroom) -> None:
    bedroom.wake(*(f"a{number}" for number in range(2_000)))
    bedroom.clock = 61

    assert await bedroom.sweep() == 0


async def test_actor_with_work_under_way_stays_awake(bedroom: Bedroom) -> None:
    bedroom.wake("ada", "bob", "cleo")
    ada, bob = bedroom.activations.find("ada"), bedroom.activations.find("bob")
    assert ada is not None
    assert bob is not None
    ada.unsettled = 1
    bob.mailbox = deque()
    bedroom.clock = 61

    assert await bedroom.sweep() == 2
    assert bedroom.asleep == ["cleo"]


async def test_the_longest_unused_go_to_sleep_when_there_are_too_many() -> None:
    bedroom = Bedroom(bound=2)
    bedroom.wake("ada", "bob")
    bedroom.activations.find("ada")
    bedroom.wake("cleo")

    assert bedroom.asleep == ["bob"]


async def test_the_next_one_makes_up_for_a_burst_of_actors_that_all_had_work() -> None:
    bedroom = Bedroom(bound=3)
    burst = [f"a{number}" for number in range(6)]
    for activation in (Activation[Delivery](ACCOUNT, stream, 0) for stream in burst):
        bedroom.activations.add(activation)
    assert len(bedroom.activations) == 6
    for activation in bedroom.activations:
        activation.mailbox = None
    bedroom.wake("bob")

    assert bedroom.asleep == burst[:4]


async def test_too_much_memory_puts_the_longest_unused_quarter_to_sleep_and_keeps_it_at_that(bedroom: Bedroom) -> None:
    bedroom.wake(*(f"a{number:03}" for number in range(400)))

    assert await bedroom.sweep(memory=LIMIT + 1) == 300
    assert bedroom.asleep == [f"a{number:03}" for number in range(100)]
    bedroom.wake("late")
    assert len(bedroom.activations) == 300


async def test_memory_that_python_does_not_give_back_does_not_empty_the_silo(bedroom: Bedroom) -> None:
    bedroom.wake(*(f"a{number:03}" for number in range(400)))

    for _ in range(10):
        assert await bedroom.sweep(memory=LIMIT + 1) == 300


async def test_memory_that_goes_on_growing_puts_more_to_sleep(bedroom: Bedroom) -> None:
    bedroom.wake(*(f"a{number:03}" for number in range(400)))
    await bedroom.sweep(memory=LIMIT + 1)

    assert await bedroom.sweep(memory=LIMIT * 2) == 225


async def test_as_many_as_before_stay_awake_once_there_is_memory_again(bedroom: Bedroom) -> None:
    bedroom.wake(*(f"a{number:03}" for number in range(400)))
    await bedroom.sweep(memory=LIMIT + 1)
    await bedroom.sweep(memory=LIMIT // 2)
    bedroom.wake(*(f"b{number:03}" for number in range(100)))

    assert len(bedroom.activations) == 400


async def test_silo_puts_idle_actors_to_sleep_by_itself_and_wakes_them_again() -> None:
    store = MemoryEventStore(partitions=4)
    clock = [1_000.0]
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(idle_s=60), now=lambda: clock[0]) as (silo,):
        patient = command("open", '{"owner": "Ada"}', patience_s=1e9)
        await silo.execute(encode([patient]))
        clock[0] += 61
        while silo.status.activations:
            await silo.wait_beyond(silo.heads, timeout_s=0.01)

        (outcome,) = decode_outcomes(await silo.execute(encode([command("deposit", '{"amount": 1}', patience_s=1e9)])))

    assert isinstance(outcome, Done)
    assert outcome.version == 2
