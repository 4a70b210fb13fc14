"""What becomes of commands when the log refuses a batch, or is lost: each is answered, in its order, as the log has it.

Each test is about one line of the silo whose breaking no other test of this tier had noticed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from actors.runtime.placement import Placement
from actors.runtime.silo import Silo
from actors.runtime.wire import CommandEnvelope, Done, Failed, NotNow, Outcome, Refused, Reused, decode_outcomes, encode
from actors.store.event_store import Deposed, EventStore, History, NewEvent, StoreUnavailable, WriteSession
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT
from tests.faults.faulty_store import FaultySession, Plan, planned
from tests.in_process import LocalHomes, command, running_silos

ADA = "account-ada"
BROKEN = StoreUnavailable("the cable is out")
NOT_NOW = NotNow("silo/0 cannot write: the cable is out")


class Held(Plan):
    """Appends wait while `gate` is closed, and proofs while `proof_gate` is; then they break if they are told to."""

    def __init__(self) -> None:
        self.gate, self.proof_gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.proof_gate.set()
        self.reached = asyncio.Event()
        self.breaks_before = self.breaks_behind = self.proofs_that_break = 0

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if not self.gate.is_set():
            self.reached.set()
            await self.gate.wait()
        if self.breaks_before:
            self.breaks_before -= 1
            raise BROKEN

    @override
    async def after_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if self.breaks_behind:
            self.breaks_behind -= 1
            raise BROKEN

    @override
    async def before_proof(self, session: FaultySession) -> None:
        if not self.proof_gate.is_set():
            self.reached.set()
            await self.proof_gate.wait()
        if self.proofs_that_break:
            self.proofs_that_break -= 1
            raise BROKEN


class Away(MemoryEventStore):
    """Nobody gets its partitions until it is `back`, when it is away; and some of its reads fail."""

    def __init__(self) -> None:
        super().__init__(partitions=4)
        self.back = asyncio.Event()
        self.back.set()
        self.unreadable = 0

    @override
    async def take_over(
        self, silo: str, partitions: Collection[int], generation: int, *, reclaim: WriteSession | None = None
    ) -> WriteSession:
        await self.back.wait()
        return await super().take_over(silo, partitions, generation, reclaim=reclaim)

    @override
    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        if self.unreadable:
            self.unreadable -= 1
            raise BROKEN
        return await super().read_histories(schemas)


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore(partitions=4)


@pytest.fixture
def plan() -> Held:
    return Held()


async def send(silo: Silo, *commands: CommandEnvelope) -> list[Outcome]:
    async with asyncio.timeout(5):
        return decode_outcomes(await silo.execute(encode(commands)))


async def one(silo: Silo, envelope: CommandEnvelope) -> Outcome:
    return (await send(silo, envelope))[0]


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - it is about the work of others in this loop
        await asyncio.sleep(0)


def opening(key: str = "ada", command_id: UUID | None = None) -> CommandEnvelope:
    return command("open", '{"owner": "x"}', key=key, command_id=command_id)


def deposit(amount: int, key: str = "ada", command_id: UUID | None = None) -> CommandEnvelope:
    return command("deposit", json.dumps({"amount": amount}), key=key, command_id=command_id)


async def amounts(store: MemoryEventStore, key: str = "ada") -> list[int]:
    """What was deposited, oldest first."""
    history = await store.read_stream(f"account-{key}")
    assert [event.version for event in history] == list(range(1, len(history) + 1))
    return [json.loads(event.data)["amount"] for event in history if event.type == "Deposited"]


async def test_state_that_was_ahead_of_a_lost_append_is_forgotten(store: MemoryEventStore, plan: Held) -> None:
    async with running_silos(planned(plan)(store), [ACCOUNT]) as (silo,):
        await one(silo, opening())
        plan.breaks_before = 1
        lost = await one(silo, deposit(5))
        refused = await one(silo, command("withdraw", '{"amount": 5}'))
        done = await one(silo, deposit(7))

    assert (lost, type(refused)) == (NOT_NOW, Refused)
    assert isinstance(done, Done)
    assert (done.version, await amounts(store)) == (2, [7])


async def test_command_that_comes_while_the_log_is_away_is_refused_at_once(plan: Held) -> None:
    store = Away()
    async with running_silos(planned(plan)(store), [ACCOUNT]) as (silo,):
        await one(silo, opening())
        plan.breaks_before, store.back = 1, asyncio.Event()
        lost = asyncio.create_task(one(silo, deposit(5)))
        await asyncio.wait_for(until(lambda: not silo.heads), 5)
        refused = await send(silo, deposit(1), opening("bob"))
        trouble = silo.status.trouble
        store.back.set()

        assert (refused, await lost, trouble) == ([NOT_NOW] * 2, NOT_NOW, str(BROKEN))
        done = await one(silo, deposit(7))

    assert isinstance(done, Done)
    assert (done.version, await amounts(store)) == (2, [7])


class TakesOver(Plan):
    """The connection breaks, and somebody else owns the partitions before the silo comes back."""

    def __init__(self, store: MemoryEventStore) -> None:
        self._store = store
        self.owner: WriteSession | None = None

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        self.owner = await self._store.take_over("another", range(4), 0)
        raise BROKEN


async def test_silo_that_comes_back_does_not_put_out_who_owns_its_partitions_now(store: MemoryEventStore) -> None:
    plan = TakesOver(store)

    async def open_store() -> EventStore:
        return planned(plan)(store)

    silo = Silo(0, 1, [ACCOUNT], open_store, 0)
    work = asyncio.create_task(silo.run())
    await until(lambda: not silo.status.trouble)
    unanswered = asyncio.create_task(one(silo, opening()))

    with pytest.raises(Deposed):
        await asyncio.wait_for(work, 5)
    unanswered.cancel()
    assert plan.owner is not None
    assert await plan.owner.prove() == {}


async def test_actor_that_could_not_be_loaded_is_loaded_anew(plan: Held) -> None:
    store = Away()
    async with running_silos(planned(plan)(store), [ACCOUNT]) as (silo,):
        await one(silo, opening())
    async with running_silos(planned(plan)(store), [ACCOUNT]) as (silo,):
        store.unreadable = 1
        refused = await one(silo, deposit(1))
        done = await one(silo, deposit(2))

    assert refused == NotNow("the log cannot be read: the cable is out")
    assert isinstance(done, Done)
    assert await amounts(store) == [2]


async def test_command_that_may_have_been_written_is_asked_about_again_when_the_question_was_lost(
    store: MemoryEventStore, plan: Held
) -> None:
    plan.breaks_behind, plan.proofs_that_break = 1, 2
    async with running_silos(planned(plan)(store), [ACCOUNT]) as (silo,):
        outcome = await one(silo, opening())

    (written,) = await store.read_stream(ADA)
    assert isinstance(outcome, Done)
    assert (outcome.position, outcome.replayed) == (written.position, True)


async def test_command_that_waits_behind_a_lost_question_is_turned_away(store: MemoryEventStore, plan: Held) -> None:
    plan.breaks_behind, plan.proofs_that_break = 1, 1
    async with running_silos(planned(plan)(store), [ACCOUNT]) as (silo,):
        plan.proof_gate.clear()
        asked = asyncio.create_task(one(silo, opening()))
        await plan.reached.wait()
        behind = asyncio.create_task(one(silo, deposit(1)))
        await until(lambda: silo.status.queued == 2)
        plan.proof_gate.set()

        assert isinstance(await asked, Done)
        assert await behind == NOT_NOW
        assert await one(silo, deposit(2)) != NOT_NOW
    assert await amounts(store) == [2]


async def test_what_waits_for_an_actor_whose_command_the_log_refuses_has_its_turn_afterwards(
    store: MemoryEventStore, plan: Held
) -> None:
    homes, taken = LocalHomes([ACCOUNT]), uuid4()
    async with running_silos(planned(plan)(store), [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening(), opening("eve", taken))
        plan.gate.clear()
        refused = asyncio.create_task(one(silo, deposit(1, command_id=taken)))
        await plan.reached.wait()
        homes.open_now[ADA].before_turns = asyncio.Event().wait
        waiting = asyncio.create_task(one(silo, deposit(2)))
        await until(lambda: homes.open_now[ADA].rounds == 3)
        homes.open_now[ADA].before_turns = None
        plan.gate.set()

        assert (await refused, type(await waiting)) == (Reused(), Done)
    assert await amounts(store) == [2]


async def test_what_waits_behind_a_batch_that_cannot_be_stored_keeps_its_order(
    store: MemoryEventStore, plan: Held
) -> None:
    homes = LocalHomes([ACCOUNT])
    async with running_silos(planned(plan)(store), [ACCOUNT], placement=Placement.OWN, homes=homes) as (silo,):
        await send(silo, opening(), opening("eve"))
        plan.gate.clear()
        unstorable = asyncio.create_task(one(silo, command("weigh", '{"weight": Infinity}', key="eve")))
        await plan.reached.wait()
        had_its_turn = asyncio.create_task(one(silo, deposit(1)))
        await until(lambda: homes.open_now[ADA].rounds == 2 and len(silo._journal._waiting) == 1)
        homes.open_now[ADA].before_turns = asyncio.Event().wait
        waits = asyncio.create_task(one(silo, deposit(2)))
        await until(lambda: homes.open_now[ADA].rounds == 3)
        homes.open_now[ADA].before_turns = None
        plan.gate.set()
        outcomes = await asyncio.gather(unstorable, had_its_turn, waits)

    assert [type(outcome) for outcome in outcomes] == [Failed, Done, Done]
    assert [outcome.version for outcome in outcomes if isinstance(outcome, Done)] == [2, 3]
    assert await amounts(store) == [1, 2]
