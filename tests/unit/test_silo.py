from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID, uuid4

import msgspec
import pytest
from typing_extensions import override

from actors.runtime import journal
from actors.runtime.placement import Placement
from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import (
    CommandEnvelope,
    Done,
    Failed,
    Full,
    Invalid,
    Later,
    Mismatch,
    NotNow,
    Outcome,
    Refused,
    Reused,
    Takeover,
    decode_outcomes,
    decode_parts,
    encode,
)
from actors.store.event_store import Deposed, EventStore, History, NewEvent, StoreUnavailable, stream_name
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT
from tests.faults.faulty_store import FaultySession, Plan, planned
from tests.identity_provider import Clock
from tests.in_process import command, running_silos


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore(partitions=4)


@pytest.fixture(params=[Placement.SHARED, Placement.OWN])
async def silo(store: MemoryEventStore, request: pytest.FixtureRequest) -> AsyncIterator[Silo]:
    """A silo whose actors live in its memory, or each in a home of its own: nobody can tell."""
    async with running_silos(store, [ACCOUNT], placement=request.param) as silos:
        yield silos[0]


async def send(silo: Silo, *commands: CommandEnvelope) -> list[Outcome]:
    async with asyncio.timeout(10):
        return decode_outcomes(await silo.execute(encode(commands)))


async def one(silo: Silo, envelope: CommandEnvelope) -> Outcome:
    return (await send(silo, envelope))[0]


async def test_accepted_command_is_in_the_log_when_it_is_answered(silo: Silo, store: MemoryEventStore) -> None:
    outcome = await one(silo, command("open", '{"owner": "Ada"}'))

    assert isinstance(outcome, Done)
    (recorded,) = await store.read_stream("account-ada")
    assert (recorded.type, recorded.version, recorded.position) == ("Opened", 1, outcome.position)
    assert (outcome.version, outcome.events[0].data, outcome.replayed) == (1, recorded.data, False)


async def test_command_is_in_the_log_without_the_fields_at_their_default(silo: Silo, store: MemoryEventStore) -> None:
    await one(silo, command("open", '{"note": "", "owner": "Ada"}'))

    (recorded,) = await store.read_stream("account-ada")
    assert recorded.command == '{"open":{"owner":"Ada"}}'


async def test_commands_for_one_actor_run_in_the_order_of_the_batch(silo: Silo) -> None:
    outcomes = await send(
        silo,
        command("open", '{"owner": "Ada"}'),
        command("deposit", '{"amount": 10}'),
        command("withdraw", '{"amount": 10}'),
        command("withdraw", '{"amount": 1}'),
    )

    assert [outcome.version for outcome in outcomes if isinstance(outcome, Done)] == [1, 2, 3]
    assert outcomes[3] == Refused("account-insufficient-funds", "the account has less than that", False)


async def test_command_that_is_already_true_writes_nothing_and_says_where_the_log_is(
    silo: Silo, store: MemoryEventStore
) -> None:
    first, again = await send(silo, *(command("open", '{"owner": "Ada"}') for _ in range(2)))

    assert isinstance(first, Done)
    assert again == Done(1, (), first.partition, first.position, False, first.epoch)
    assert len(await store.read_stream("account-ada")) == 1


async def test_rejection_of_an_actor_that_does_not_exist_says_so(silo: Silo) -> None:
    assert await one(silo, command("deposit", '{"amount": 1}')) == Refused(
        "account-not-open", "the account is not open", True
    )


async def test_retry_gets_the_original_reply(silo: Silo, store: MemoryEventStore) -> None:
    deposit = command("deposit", '{"amount": 5}')
    _, first = await send(silo, command("open", '{"owner": "Ada"}'), deposit)
    await send(silo, command("deposit", '{"amount": 1}'))

    again = await one(silo, deposit)

    assert isinstance(first, Done)
    assert again == Done(first.version, first.events, first.partition, first.position, True, first.epoch)
    assert len(await store.read_stream("account-ada")) == 3


async def test_retry_in_the_same_batch_gets_the_original_reply(silo: Silo, store: MemoryEventStore) -> None:
    opening = command("open", '{"owner": "Ada"}')
    first, again = await send(silo, opening, opening)

    assert isinstance(first, Done)
    assert again == Done(first.version, first.events, first.partition, first.position, True, first.epoch)
    assert len(await store.read_stream("account-ada")) == 1


async def test_retry_after_the_actor_has_forgotten_the_command_gets_the_original_reply(
    silo: Silo, store: MemoryEventStore
) -> None:
    withdraw = command("withdraw", '{"amount": 7}')
    await send(silo, command("open", '{"owner": "Ada"}'), command("deposit", '{"amount": 100}'))
    first = await one(silo, withdraw)
    for _ in range(40):
        await one(silo, command("deposit", '{"amount": 1}'))
    neighbour = command("open", '{"owner": "Bob"}', key="bob")

    again, beside = await send(silo, withdraw, neighbour)

    assert isinstance(first, Done)
    assert again == Done(first.version, first.events, first.partition, first.position, True, first.epoch)
    assert isinstance(beside, Done)
    assert not beside.replayed
    assert len(await store.read_stream("account-ada")) == 43


async def test_retry_that_would_now_be_rejected_gets_the_original_reply(silo: Silo) -> None:
    withdraw = command("withdraw", '{"amount": 100}')
    await send(silo, command("open", '{"owner": "Ada"}'), command("deposit", '{"amount": 100}'))
    first = await one(silo, withdraw)
    for _ in range(40):
        await one(silo, command("deposit", '{"amount": 1}'))

    again = await one(silo, withdraw)

    assert isinstance(first, Done)
    assert again == Done(first.version, first.events, first.partition, first.position, True, first.epoch)


@pytest.mark.parametrize("commands_between", [0, 40])
async def test_command_id_of_another_command_is_refused(
    silo: Silo, store: MemoryEventStore, commands_between: int
) -> None:
    command_id = uuid4()
    await send(silo, command("open", '{"owner": "Ada"}'), command("deposit", '{"amount": 5}', command_id=command_id))
    for _ in range(commands_between):
        await one(silo, command("deposit", '{"amount": 1}'))

    assert await one(silo, command("deposit", '{"amount": 6}', command_id=command_id)) == Reused()
    assert len(await store.read_stream("account-ada")) == 2 + commands_between


async def test_command_with_several_events_says_where_the_last_one_is_and_so_does_its_retry(
    silo: Silo, store: MemoryEventStore
) -> None:
    found = command("found", '{"owner": "Ada", "amount": 3}')

    first, deposited = await send(silo, found, command("deposit", '{"amount": 1}'))
    for _ in range(40):
        await one(silo, command("deposit", '{"amount": 1}'))
    again = await one(silo, found)

    log = await store.read_stream("account-ada")
    assert isinstance(first, Done)
    assert isinstance(deposited, Done)
    for outcome, last, events in ((first, log[1], 2), (deposited, log[2], 1)):
        assert (outcome.version, outcome.position) == (last.version, last.position)
        assert len(outcome.events) == events
    assert again == msgspec.structs.replace(first, replayed=True)


async def test_reply_that_wrote_nothing_has_the_epoch_of_the_last_event_whoever_wrote_it(
    store: MemoryEventStore,
) -> None:
    outcomes = []
    for _ in range(2):
        async with running_silos(store, [ACCOUNT]) as (silo,):
            outcomes.append(await one(silo, command("open", '{"owner": "Ada"}')))
    written, already_true = outcomes

    (event,) = await store.read_stream("account-ada")
    assert isinstance(written, Done)
    assert already_true == Done(1, (), event.partition, event.position, False, event.epoch)
    assert written.epoch == event.epoch


async def test_command_id_of_another_actor_is_refused(silo: Silo, store: MemoryEventStore) -> None:
    command_id = uuid4()
    await one(silo, command("open", '{"owner": "Ada"}', command_id=command_id))

    assert await one(silo, command("open", '{"owner": "Ada"}', key="bob", command_id=command_id)) == Reused()
    assert await store.read_stream("account-bob") == []


async def test_one_command_id_for_two_actors_at_the_same_time_is_done_once(silo: Silo, store: MemoryEventStore) -> None:
    command_id = uuid4()
    opened = [command("open", '{"owner": "Ada"}', key=key, command_id=command_id, patience_s=60) for key in "ab"]

    first, second = await send(silo, *opened)

    assert isinstance(first, Done)
    assert second == Reused()
    assert await store.read_stream("account-b") == []


async def test_retry_far_behind_its_first_delivery_in_one_batch_is_answered_with_the_original(silo: Silo) -> None:
    deposit = command("deposit", '{"amount": 5}', patience_s=60)
    others = [command("deposit", '{"amount": 1}', patience_s=60) for _ in range(40)]
    await one(silo, command("open", '{"owner": "Ada"}'))

    first, *_, again = await send(silo, deposit, *others, deposit)

    assert isinstance(first, Done)
    assert again == Done(first.version, first.events, first.partition, first.position, True, first.epoch)


async def test_command_that_is_late_when_its_actor_is_loaded_is_not_decided() -> None:
    store, clock = SlowReads(), [1_000.0]
    async with running_silos(store, [ACCOUNT], now=lambda: clock[0]) as (silo,):
        envelope = msgspec.structs.replace(command("open", '{"owner": "Ada"}'), deadline=1_001.0)
        sent = asyncio.create_task(one(silo, envelope))
        await store.asked.wait()
        clock[0] = 1_002.0
        store.answers.set()

        assert await sent == NotNow("the deadline has passed")
    assert await store.read_stream("account-ada") == []


async def test_command_id_of_another_actor_is_refused_when_there_is_nothing_to_do(silo: Silo) -> None:
    command_id = uuid4()
    await send(
        silo,
        command("open", '{"owner": "Ada"}', command_id=command_id),
        command("open", '{"owner": "Ada"}', key="bob"),
    )

    outcomes = await send(
        silo,
        command("open", '{"owner": "Ada"}', key="bob", command_id=command_id),
        command("withdraw", '{"amount": 1}', key="bob", command_id=command_id),
        command("deposit", '{"amount": 1}', key="bob", command_id=command_id, expected_version=7),
    )

    assert outcomes == [Reused()] * 3


@pytest.mark.parametrize("placement", [Placement.SHARED, Placement.OWN])
async def test_nothing_overtakes_a_command_while_the_log_is_asked_about_it(
    store: MemoryEventStore, placement: Placement
) -> None:
    plan, taken = HeldProof(), uuid4()
    async with running_silos(planned(plan)(store), [ACCOUNT], placement=placement) as (silo,):
        await send(silo, command("open", '{"owner": "Ada"}'), command("deposit", '{"amount": 1}', key="bob"))
        await one(silo, command("open", '{"owner": "Eve"}', key="eve", command_id=taken))
        plan.gate.clear()
        batch = (
            command("deposit", '{"amount": 1}'),
            command("open", '{"owner": "Bob"}', key="bob", command_id=taken),
            command("deposit", '{"amount": 2}'),
        )
        older = asyncio.create_task(send(silo, *batch))
        await plan.reached.wait()
        newer = [asyncio.create_task(one(silo, command("deposit", f'{{"amount": {n}}}'))) for n in (3, 4)]
        await asyncio.wait(newer, timeout=0.01)
        plan.gate.set()
        first, refused, second = await older
        outcomes = [first, second, *await asyncio.gather(*newer)]

    assert refused == Reused()
    assert [outcome.version for outcome in outcomes if isinstance(outcome, Done)] == [2, 3, 4, 5]


class HeldProof(Plan):
    """Lets no proof begin while its gate is closed."""

    def __init__(self) -> None:
        self.gate, self.reached = asyncio.Event(), asyncio.Event()
        self.gate.set()

    @override
    async def before_proof(self, session: FaultySession) -> None:
        if not self.gate.is_set():
            self.reached.set()
        await self.gate.wait()


async def test_wrong_expected_version_tells_the_actual_one(silo: Silo) -> None:
    await one(silo, command("open", '{"owner": "Ada"}'))

    assert await one(silo, command("deposit", '{"amount": 1}', expected_version=0)) == Mismatch(1)
    assert isinstance(await one(silo, command("deposit", '{"amount": 1}', expected_version=1)), Done)


async def test_replay_beats_a_version_mismatch(silo: Silo) -> None:
    opening = command("open", '{"owner": "Ada"}', expected_version=0)
    await one(silo, opening)

    again = await one(silo, opening)

    assert isinstance(again, Done)
    assert again.replayed


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("audit", "{}", Failed),
        ("deposit", '{"amount": "5"}', Invalid),
        ("deposit", "{", Invalid),
        ("close", "{}", Invalid),
        ("open", r'{"owner": "a\u0000b"}', Failed),
        ("open", r'{"owner": "a\\u0000b"}', Done),
    ],
)
async def test_poison_command_fails_alone(silo: Silo, name: str, data: str, kind: type[Outcome]) -> None:
    before, poisoned, after = await send(
        silo,
        command("open", '{"owner": "Bob"}', key="bob"),
        command(name, data, key="eve"),
        command("deposit", '{"amount": 1}', key="bob"),
    )

    assert isinstance(poisoned, kind)
    assert isinstance(before, Done)
    assert isinstance(after, Done)
    assert after.version == 2


@pytest.mark.parametrize(
    ("name", "data"), [("open", r'{"owner": "a\u0000b"}'), ("found", r'{"owner": "\u0000", "amount": 1}')]
)
async def test_command_that_fails_leaves_its_actor_as_it_was(silo: Silo, name: str, data: str) -> None:
    failed, refused, opened = await send(
        silo, command(name, data), command("deposit", '{"amount": 1}'), command("open", '{"owner": "Ada"}')
    )

    assert isinstance(failed, Failed)
    assert isinstance(refused, Refused)
    assert isinstance(opened, Done)
    assert [event.data for event in opened.events] == ['{"owner":"Ada"}']


async def test_event_that_the_log_cannot_store_fails_alone(silo: Silo) -> None:
    await one(silo, command("open", '{"owner": "Eve"}', key="eve"))

    unstorable, bob, eve = await send(
        silo,
        command("weigh", '{"weight": Infinity}', key="eve"),
        command("open", '{"owner": "Bob"}', key="bob"),
        command("deposit", '{"amount": 1}', key="eve"),
    )

    assert isinstance(unstorable, Failed)
    assert isinstance(bob, Done)
    assert isinstance(eve, Done)
    assert eve.version == 2


async def test_command_for_an_unknown_kind_of_actor_is_invalid(silo: Silo) -> None:
    assert isinstance(await one(silo, command("open", '{"owner": "Ada"}', category="ghost")), Invalid)


async def test_expired_command_is_not_decided(silo: Silo, store: MemoryEventStore) -> None:
    outcome = await one(silo, command("open", '{"owner": "Ada"}', patience_s=-1))

    assert isinstance(outcome, NotNow)
    assert await store.read_stream("account-ada") == []


async def test_actor_of_another_silo_is_not_touched(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], silos=2) as silos:
        outcomes = [await one(silo, command("open", '{"owner": "Ada"}')) for silo in silos]

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Done", "NotNow"]


async def test_full_silo_refuses_the_batch_at_once(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(commands=1)) as (silo,):
        assert await send(silo, command("audit"), command("audit")) == [Full(), Full()]
        assert isinstance(await one(silo, command("open", '{"owner": "Ada"}')), Done)


async def test_outcomes_are_asked_for_by_the_ticket_of_this_silo_only() -> None:
    store = SlowReads()
    async with running_silos(store, [ACCOUNT]) as (silo,):
        blob = encode([command("open", '{"owner": "Ada"}')])
        (later,) = decode_parts(await silo.execute(blob, within_s=0))
        assert isinstance(later, Later)

        assert await silo.rest(later.ticket + 1) == encode([])
        assert decode_parts(await silo.rest(later.ticket, within_s=0)) == [later]
        store.answers.set()
        (done,) = decode_outcomes(await silo.rest(later.ticket))
        assert isinstance(done, Done)
        assert await silo.rest(later.ticket) == encode([])


async def test_outcomes_that_nobody_asked_for_in_time_are_kept_no_longer() -> None:
    store, clock = SlowReads(), Clock(time.time())
    async with running_silos(store, [ACCOUNT], now=clock) as (silo,):

        async def ticket(patience_s: float, key: str) -> int:
            blob = encode([command("open", '{"owner": "Ada"}', key=key, patience_s=patience_s)])
            (later,) = decode_parts(await silo.execute(blob, within_s=0))
            assert isinstance(later, Later)
            return later.ticket

        given_up, patient = await ticket(10, "ada"), await ticket(60, "bob")
        clock.at += 30
        newer = await ticket(60, "eve")
        store.answers.set()

        assert await silo.rest(given_up) == encode([])
        for each in (patient, newer):
            assert isinstance(decode_outcomes(await silo.rest(each))[0], Done)


async def test_silo_holds_only_so_many_bytes_of_commands(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(command_bytes=1_000)) as (silo,):
        assert await one(silo, command("open", f'{{"owner": "{"x" * 1_000}"}}')) == Full()
        for key in "abcdefgh":
            assert isinstance(await one(silo, command("open", f'{{"owner": "{"x" * 500}"}}', key=key)), Done)


async def test_sleeping_actor_wakes_with_its_state(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(activations=2)) as (silo,):
        await send(silo, command("open", '{"owner": "Ada"}'), command("deposit", '{"amount": 3}'))
        for other in range(10):
            await one(silo, command("open", '{"owner": "Bob"}', key=f"bob{other}"))
        assert silo.status.activations == 2

        outcome = await one(silo, command("withdraw", '{"amount": 3}'))

    assert isinstance(outcome, Done)
    assert outcome.version == 3


async def test_actor_with_an_event_that_this_release_does_not_know_is_not_half_folded(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await one(silo, command("open", '{"owner": "Ada"}'))
    (opened,) = await store.read_stream(stream_name("account", "ada"))
    session = await store.take_over("newer", range(4), 0)
    newer = opened._replace(version=2, type="Frozen", command_id=uuid4())
    fields = newer._asdict()
    for envelope_only in ("position", "epoch", "recorded_at"):
        del fields[envelope_only]
    await session.append([NewEvent(**fields)])

    async with running_silos(store, [ACCOUNT]) as (silo,):
        outcome = await one(silo, command("deposit", '{"amount": 1}'))

    assert isinstance(outcome, NotNow)
    assert "Frozen" in outcome.reason


async def test_waiting_for_news_ends_with_the_first_commit(silo: Silo) -> None:
    waiting = asyncio.create_task(silo.wait_beyond(silo.heads, timeout_s=30))
    outcome = await one(silo, command("open", '{"owner": "Ada"}'))

    assert isinstance(outcome, Done)
    assert (await waiting)[outcome.partition] == outcome.position


async def test_drained_silo_has_answered_everything_and_takes_nothing_more(silo: Silo, store: MemoryEventStore) -> None:
    answers = asyncio.create_task(one(silo, command("open", '{"owner": "Ada"}')))
    await asyncio.wait([answers], timeout=0)
    await silo.drain()

    assert isinstance(await answers, Done)
    assert isinstance(await one(silo, command("deposit", '{"amount": 1}')), NotNow)


@pytest.mark.parametrize("placement", [Placement.SHARED, Placement.OWN])
async def test_silo_that_is_drained_under_load_answers_each_command_and_the_log_has_what_it_acknowledged(
    placement: Placement,
) -> None:
    plan, store = HeldAppend(), SlowReads("account-slow")
    async with running_silos(planned(plan)(store), [ACCOUNT], placement=placement) as (silo,):
        await send(silo, *(command("open", '{"owner": "x"}', key=key) for key in "abc"))
        plan.gate.clear()
        batches = [[command(*each, key=key) for each in DEPOSIT_AND_WITHDRAW] for key in "abc"]
        batches += [[command("open", '{"owner": "x"}', key=key)] for key in ("d", "slow")]
        sent = [asyncio.create_task(silo.execute(encode(batch), within_s=0)) for batch in batches]
        await asyncio.gather(plan.reached.wait(), store.asked.wait())
        draining = asyncio.create_task(silo.drain())
        await asyncio.wait([draining], timeout=0)
        refused = await send(silo, *(command("deposit", '{"amount": 1}', key=key) for key in ("a", "slow", "new")))
        assert not draining.done()
        plan.gate.set()
        store.answers.set()
        await asyncio.wait_for(draining, 5)

        answered: dict[UUID, Outcome] = {}
        for batch, blob in zip(batches, await asyncio.gather(*sent), strict=True):
            outcomes = decode_parts(blob)
            late = {each.ticket for each in outcomes if isinstance(each, Later)}
            rest = iter([each for ticket in late for each in decode_outcomes(await silo.rest(ticket))])
            told = [next(rest) if isinstance(each, Later) else each for each in outcomes]
            answered.update(zip([each.command_id for each in batch], told, strict=True))
            assert not list(rest)
            assert [await silo.rest(ticket) for ticket in late] == [encode([])] * len(late)
        after = await send(silo, *(command("open", '{"owner": "x"}', key=key) for key in ("a", "slow", "new")))

    log = await store.read_partitions(dict.fromkeys(range(4), 0), limit=100)
    written = Counter(event.command_id for event in log if event.command_id in answered)
    assert all(isinstance(outcome, NotNow) for outcome in (*refused, *after))
    assert {type(outcome) for outcome in answered.values()} <= {Done, Refused, NotNow}
    assert written == {each: len(done.events) for each, done in answered.items() if isinstance(done, Done)}
    assert len(log) == 3 + written.total()
    assert written.total() >= 7


DEPOSIT_AND_WITHDRAW = (("deposit", '{"amount": 3}'), ("withdraw", '{"amount": 2}'), ("withdraw", '{"amount": 9}'))


class HeldAppend(Plan):
    """Lets no append begin while its gate is closed."""

    def __init__(self) -> None:
        self.gate, self.reached = asyncio.Event(), asyncio.Event()
        self.gate.set()

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if not self.gate.is_set():
            self.reached.set()
        await self.gate.wait()


class BrokenStore(MemoryEventStore):
    """Reads raise what no store should."""

    @override
    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        raise ZeroDivisionError


async def test_silo_ends_when_work_for_an_actor_ends_as_nobody_foresaw() -> None:
    """Nobody knows what is left of the actor. The process ends with its silo, and the next one asks the log."""

    async def open_store() -> EventStore:
        return BrokenStore(partitions=1)

    silo = Silo(0, 1, [ACCOUNT], open_store, 0)
    work = asyncio.create_task(silo.run())
    while silo.status.trouble:
        await asyncio.wait([work], timeout=0.001)
    unanswered = asyncio.create_task(one(silo, command("open", '{"owner": "Ada"}')))

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(work, 5)
    unanswered.cancel()


class SlowReads(MemoryEventStore):
    """Histories come when the test has them come: all, or those of one stream."""

    def __init__(self, stream: str | None = None) -> None:
        super().__init__(partitions=4)
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self._stream = stream

    @override
    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        if self._stream is None or self._stream in schemas:
            self.asked.set()
            await self.answers.wait()
        return await super().read_histories(schemas)


class LosesTheLog(Plan):
    """The connection breaks once, and meanwhile time goes on."""

    def __init__(self) -> None:
        self.time = 1.0

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if self.time == 1.0:
            self.time = 2.0
            raise StoreUnavailable("the cable is out")


async def test_silo_tells_when_it_took_its_partitions_and_why(store: MemoryEventStore) -> None:
    plan = LosesTheLog()
    async with running_silos(planned(plan)(store), [ACCOUNT], now=lambda: plan.time) as (silo,):
        assert silo.status.takeover == Takeover(1.0, "its process started")

        await one(silo, command("open", '{"owner": "Ada"}'))

        assert silo.status.takeover == Takeover(2.0, "it had lost the log: the cable is out")


async def test_commands_that_went_down_with_a_connection_are_not_sent_again_from_the_silo(
    store: MemoryEventStore,
) -> None:
    """One of them may be what ends each connection."""
    plan = LosesTheLog()
    async with running_silos(planned(plan)(store), [ACCOUNT], now=lambda: plan.time) as (silo,):
        both = await send(silo, command("open", '{"owner": "Ada"}'), command("open", '{"owner": "Bob"}', key="bob"))
        again = await one(silo, command("open", '{"owner": "Ada"}'))

    assert both == [NotNow("silo/0 cannot write: the cable is out")] * 2
    assert isinstance(again, Done)
    assert [event.type for event in again.events] == ["Opened"]
    assert await store.read_stream("account-bob") == []


async def test_silo_tells_that_it_put_another_out(store: MemoryEventStore) -> None:
    await store.take_over("another", range(4), 0)
    async with running_silos(store, [ACCOUNT]) as (silo,):
        assert silo.status.takeover is not None
        assert silo.status.takeover.why == "its process started; another session still held partitions and was put out"


async def test_silo_that_has_nothing_to_do_learns_that_it_was_deposed_and_ends(
    store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PROOF_INTERVAL_S", 0.01)

    async def open_store() -> EventStore:
        return store

    silo = Silo(0, 1, [ACCOUNT], open_store, 0)
    work = asyncio.create_task(silo.run())
    while silo.status.trouble:
        await asyncio.wait([work], timeout=0.001)
    await store.take_over("another", range(4), 0)

    with pytest.raises(Deposed):
        await asyncio.wait_for(work, 5)


async def test_deposed_silo_stops(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT]) as (old,), running_silos(store, [ACCOUNT]) as (new,):
        assert isinstance(await one(new, command("open", '{"owner": "Ada"}')), Done)
        unanswered = asyncio.create_task(one(old, command("deposit", '{"amount": 1}')))
        done, _ = await asyncio.wait([unanswered], timeout=0.05)

        assert not done
        assert len(await store.read_stream("account-ada")) == 1
        unanswered.cancel()
