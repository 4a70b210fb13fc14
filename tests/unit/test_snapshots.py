"""A snapshot is a cache: it may speed an actor up, and change nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from actors.domain.decider import AnyDecider
from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Done, Outcome, decode_outcomes, encode
from actors.store.event_store import History, NewEvent, Snapshot, StoreUnavailable
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT, Account
from tests.faults.faulty_store import FaultySession, Plan, planned
from tests.in_process import command, running_silos

OWNER = '{"owner": "Ada"}'
DEPOSIT = '{"amount": 1}'

SLEEPLESS = SiloLimits()
SLEEPY = SiloLimits(activations=1, snapshot_every=3, snapshot_on_sleep=1)


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore(partitions=4)


async def send(silo: Silo, *commands: CommandEnvelope) -> list[Outcome]:
    return decode_outcomes(await silo.execute(encode(commands)))


async def kept(store: MemoryEventStore, key: str = "ada", decider: AnyDecider = ACCOUNT) -> Snapshot | None:
    stream = f"{decider.category}-{key}"
    return (await store.read_histories({stream: decider.state_schema})).get(stream, History(None, ())).snapshot


async def until_kept(store: MemoryEventStore, version: int, *, other_than: Snapshot | None = None) -> Snapshot:
    while True:
        snapshot = await kept(store)
        if snapshot is not None and snapshot != other_than and snapshot.version >= version:
            return snapshot
        await asyncio.sleep(0)


async def seed(store: MemoryEventStore, version: int, schema: str, state: str, key: str = "ada") -> Snapshot:
    """A snapshot of an account that says what the test wants."""
    last = (await store.read_stream(f"account-{key}"))[version - 1]
    snapshot = Snapshot(f"account-{key}", version, schema, state, (last.command_id,))
    await store.write_snapshots([snapshot])
    return snapshot


async def check_against_the_log(store: MemoryEventStore, snapshot: Snapshot) -> None:
    events = (await store.read_stream(snapshot.stream))[: snapshot.version]
    assert len(events) == snapshot.version
    state = ACCOUNT.fold([ACCOUNT.read_event(event.type, event.data) for event in events])
    assert ACCOUNT.load_state(snapshot.state) == state
    ids = [event.command_id for event in events]
    assert list(snapshot.command_ids) == ids[-len(snapshot.command_ids) :]


async def test_snapshot_is_taken_every_so_many_events(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(snapshot_every=10)) as (silo,):
        await send(silo, command("open", OWNER), *(command("deposit", DEPOSIT) for _ in range(8)))
        assert await kept(store) is None

        for _ in range(3):
            await send(silo, command("deposit", DEPOSIT))

        snapshot = await until_kept(store, 10)
    assert snapshot.version == 10
    await check_against_the_log(store, snapshot)


async def test_actor_that_is_never_at_rest_has_snapshots_too(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(snapshot_every=10)) as (silo,):
        await send(silo, command("open", OWNER))
        snapshot = None
        working = asyncio.gather(*(send(silo, command("deposit", DEPOSIT)) for _ in range(200)))
        while not working.done():
            snapshot = await kept(store) or snapshot
            await asyncio.sleep(0)
        await check_against_the_log(store, snapshot or await until_kept(store, 10))


class Gate(Plan):
    """Appends wait until it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()

    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        self.reached.set()
        await self.open.wait()


async def test_state_is_not_kept_before_the_log_has_it(store: MemoryEventStore) -> None:
    gate = Gate()
    async with running_silos(planned(gate)(store), [ACCOUNT], limits=SiloLimits(snapshot_every=1)) as (silo,):
        answers = asyncio.create_task(send(silo, command("open", OWNER)))
        await gate.reached.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert store.snapshots == {}

        gate.open.set()
        await answers
        await check_against_the_log(store, await until_kept(store, 1))


async def test_actor_that_goes_to_sleep_is_kept_when_that_is_worth_it(store: MemoryEventStore) -> None:
    limits = SiloLimits(activations=1, snapshot_on_sleep=3)
    async with running_silos(store, [ACCOUNT], limits=limits) as (silo,):
        for key, deposits in (("bob", 1), ("ada", 2), ("cleo", 0)):
            await send(silo, command("open", OWNER, key=key))
            await send(silo, *(command("deposit", DEPOSIT, key=key) for _ in range(deposits)))

        await check_against_the_log(store, await until_kept(store, 3))

    assert await kept(store, "bob") is None


async def test_actor_wakes_from_its_snapshot_and_the_events_behind_it(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await send(silo, command("open", OWNER), *(command("deposit", DEPOSIT) for _ in range(3)))
    await seed(store, 3, ACCOUNT.state_schema, '{"owner": "Ada", "balance": 100}')

    async with running_silos(store, [ACCOUNT]) as (silo,):
        (outcome,) = await send(silo, command("withdraw", '{"amount": 101}'))

    assert isinstance(outcome, Done)
    assert outcome.version == 5


@pytest.mark.parametrize(
    ("schema", "state"),
    [
        ("1-of-another-release", '{"owner": "Ada", "balance": 100}'),
        (ACCOUNT.state_schema, '{"owner": "Ada", "balance": "a lot"}'),
    ],
)
async def test_snapshot_that_this_release_cannot_read_is_passed_over(
    store: MemoryEventStore, schema: str, state: str
) -> None:
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await send(silo, command("open", OWNER), command("deposit", DEPOSIT))
    seeded = await seed(store, 2, schema, state)

    async with running_silos(store, [ACCOUNT], limits=SiloLimits(snapshot_every=2)) as (silo,):
        rejected, done = await send(silo, command("withdraw", '{"amount": 2}'), command("withdraw", DEPOSIT))
        await check_against_the_log(store, await until_kept(store, 2, other_than=seeded))

    assert not isinstance(rejected, Done)
    assert isinstance(done, Done)


async def test_all_actors_of_a_batch_whose_snapshots_cannot_be_read_wake_from_their_events(
    store: MemoryEventStore,
) -> None:
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await send(silo, *(command("open", OWNER, key=key) for key in "abc"))
    for key in "ab":
        await seed(store, 1, ACCOUNT.state_schema, '{"owner": "Ada", "balance": "a lot"}', key)

    async with running_silos(store, [ACCOUNT]) as (silo,), asyncio.timeout(5):
        outcomes = await send(silo, *(command("deposit", DEPOSIT, key=key) for key in "abc"))

    assert [outcome.version for outcome in outcomes if isinstance(outcome, Done)] == [2, 2, 2]


async def test_long_stream_without_a_snapshot_gets_one_when_it_is_read(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await send(silo, command("open", OWNER), *(command("deposit", DEPOSIT) for _ in range(10)))
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(snapshot_every=10)) as (silo,):
        await send(silo, command("withdraw", '{"amount": 100}'))

        await check_against_the_log(store, await until_kept(store, 11))


@pytest.mark.parametrize("later", [0, 1, 20])
async def test_retry_of_a_command_that_a_snapshot_covers_gets_the_original_reply(
    store: MemoryEventStore, later: int
) -> None:
    """It knows the command, or has forgotten it and would now refuse it."""
    withdraw = command("withdraw", '{"amount": 5}')
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await send(silo, command("open", OWNER), command("deposit", '{"amount": 5}'))
        (first,) = await send(silo, withdraw)
        assert isinstance(first, Done)
        await send(silo, *(command("deposit", DEPOSIT) for _ in range(later)))
    await seed(store, 3 + later, ACCOUNT.state_schema, '{"owner": "Ada", "balance": 0}')
    async with running_silos(store, [ACCOUNT]) as (silo,):
        (again,) = await send(silo, withdraw)

    assert again == structs.replace(first, replayed=True)
    assert len(await store.read_stream("account-ada")) == 3 + later


class ForgetfulStore(MemoryEventStore):
    """Keeps no snapshots, and says so."""

    async def write_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        raise StoreUnavailable("the disk is full")


async def test_snapshot_that_cannot_be_written_is_nobodys_trouble() -> None:
    store = ForgetfulStore(partitions=4)
    async with running_silos(store, [ACCOUNT], limits=SLEEPY) as (silo,):
        await send(silo, command("open", OWNER))
        for version in range(2, 12):
            (outcome,) = await send(silo, command("deposit", DEPOSIT))
            assert isinstance(outcome, Done)
            assert outcome.version == version
            await send(silo, command("open", OWNER, key="bob"))


async def test_state_that_does_not_survive_as_json_is_not_kept(store: MemoryEventStore) -> None:
    lossy = replace(ACCOUNT, evolve=lambda _account, _event: Account(balance=cast(int, float("nan"))))
    async with running_silos(store, [lossy], limits=SiloLimits(snapshot_every=1)) as (silo,):
        await send(silo, command("open", OWNER))
        await send(silo, command("open", OWNER, key="bob"))

        assert await kept(store) is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob"]),
        st.sampled_from(["open", "deposit", "withdraw"]),
        st.integers(1, 3),
        st.integers(0, 11),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_silo_that_sleeps_all_the_time_answers_like_one_that_never_does(steps: list[tuple[str, str, int, int]]) -> None:
    """Some steps repeat a command id: as a retry, or for another command."""
    commands = [
        command(
            name,
            '{"owner": "A"}' if name == "open" else f'{{"amount": {amount}}}',
            key=key,
            command_id=UUID(int=number + (100 if key == "bob" else 0)),
        )
        for key, name, amount, number in steps
    ]

    assert asyncio.run(_outcomes(commands, SLEEPY)) == asyncio.run(_outcomes(commands, SLEEPLESS))


async def _outcomes(commands: Sequence[CommandEnvelope], limits: SiloLimits) -> list[Outcome]:
    async with running_silos(MemoryEventStore(partitions=1), [ACCOUNT], limits=limits) as (silo,):
        outcomes = [outcome for each in commands for outcome in await send(silo, each)]
    return [structs.replace(each, epoch=0) if isinstance(each, Done) else each for each in outcomes]
