from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Container, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest
from typing_extensions import override

from actors.errors import InvalidCommand, OutcomeUnknown, Overloaded, Rejected, Unavailable
from actors.runtime.client import Client
from actors.runtime.lane import ENOUGH, Lost, NotSent
from actors.runtime.silo import SiloLimits
from actors.runtime.wire import Done, Full, Layout, decode_commands, encode
from actors.store.event_store import History
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT
from tests.identity_provider import Clock
from tests.in_process import LocalTransport, command, running_silos

OPEN = '{"owner": "Ada"}'


@dataclass
class BadLine:
    """A transport that loses what it is told to lose, on the way there or on the way back."""

    good: LocalTransport
    lose_requests: int = 0
    lose_replies: int = 0
    down_after_loss: bool = False
    silent: bool = False
    layouts_without_log: int = 0
    lose_questions: bool = False
    stuck: Container[str] = ()
    odd: Exception | bytes | None = None
    batches: list[int] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, silo: int, blob: bytes) -> bytes:
        self.batches.append(len(decode_commands(blob)))
        self.left.set()
        if self.silent or any(each.key in self.stuck for each in decode_commands(blob)):
            await asyncio.get_running_loop().create_future()
        if isinstance(self.odd, Exception):
            raise self.odd
        if self.odd is not None:
            return self.odd
        if self.lose_requests:
            self.lose_requests -= 1
            raise NotSent("the line is down")
        reply = await self.good.execute(silo, blob)
        if self.lose_replies:
            self.lose_replies -= 1
            self.lose_requests = 1_000_000 if self.down_after_loss else 0
            raise Lost("the line broke")
        return reply

    async def tries(self, number: int) -> None:
        """Wait until so many batches have left."""
        while len(self.batches) < number:
            self.left.clear()
            await self.left.wait()

    async def rest(self, silo: int, ticket: int) -> bytes:
        if self.lose_questions:
            raise NotSent("the line is down")
        return await self.good.rest(silo, ticket)

    async def layout(self) -> Layout | None:
        if self.layouts_without_log:
            self.layouts_without_log -= 1
            return None
        return await self.good.layout()

    def __getattr__(self, name: str) -> object:
        return getattr(self.good, name)


class SlowReads(MemoryEventStore):
    """The actor `slow` is loaded when the test has it loaded."""

    def __init__(self) -> None:
        super().__init__(partitions=4)
        self.answers = asyncio.Event()

    @override
    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        if "account-slow" in schemas:
            await self.answers.wait()
        return await super().read_histories(schemas)


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore(partitions=4)


@pytest.fixture
async def line(store: MemoryEventStore) -> AsyncIterator[BadLine]:
    async with running_silos(store, [ACCOUNT]) as silos:
        yield BadLine(LocalTransport(silos))


@pytest.fixture
def clock() -> Clock:
    """The clock of the client, so that no deadline passes before the test wants it."""
    return Clock(time.time())


@pytest.fixture
async def client(line: BadLine, clock: Clock) -> Client:
    client = Client(line, now=clock)  # type: ignore[arg-type]
    await client.start()
    return client


async def test_tokens_are_there_as_soon_as_a_silo_has_reached_the_log(line: BadLine) -> None:
    line.layouts_without_log = 2
    client = Client(line)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        _ = client.tokens

    tokens = await client.meet(time.time() + 60)

    assert client.tokens is tokens
    assert await client.meet(0) is tokens


async def test_tokens_are_waited_for_until_the_deadline_only(line: BadLine) -> None:
    line.layouts_without_log = 1_000_000

    with pytest.raises(Unavailable, match="no silo has reached the log"):
        await Client(line).meet(time.time())  # type: ignore[arg-type]


async def test_commands_that_wait_at_the_same_time_travel_together(client: Client, line: BadLine) -> None:
    await asyncio.gather(*(client.submit(command("open", OPEN, key=f"a{number}")) for number in range(100)))

    assert sum(line.batches) == 100
    assert len(line.batches) <= 3


async def test_command_alone_does_not_wait_for_others(client: Client, line: BadLine) -> None:
    await client.submit(command("open", OPEN))

    assert line.batches == [1]


async def test_few_commands_wait_for_the_batch_that_is_out_and_many_do_not(
    client: Client, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.runtime.lane.SLOW_S", 60.0)
    line.stuck = {"slow"}
    sent = [asyncio.create_task(client.submit(command("open", OPEN, key="slow", patience_s=60)))]
    await line.left.wait()
    line.left.clear()
    for number in range(ENOUGH[1]):
        assert line.batches == [1]
        sent.append(asyncio.create_task(client.submit(command("open", OPEN, key=f"a{number}"))))
        await asyncio.sleep(0)

    await line.left.wait()
    await asyncio.gather(*sent[1:])

    assert line.batches == [1, ENOUGH[1]]
    sent[0].cancel()


async def test_command_that_takes_long_does_not_hold_up_the_outcomes_of_others() -> None:
    store = SlowReads()
    async with running_silos(store, [ACCOUNT]) as silos:
        line = BadLine(LocalTransport(silos))
        client = Client(line)  # type: ignore[arg-type]
        await client.submit(command("open", OPEN, key="quick"))
        slow, quick = (
            asyncio.create_task(client.submit(command("open", OPEN, key=key, patience_s=60)))
            for key in ("slow", "quick")
        )

        await quick
        assert line.batches == [1, 2]
        assert not slow.done()

        store.answers.set()
        assert (await slow).version == 1
        assert not (await slow).replayed


async def test_outcome_that_cannot_be_asked_for_is_unknown(clock: Clock) -> None:
    """The command was sent, although the question what became of it was not."""
    async with running_silos(SlowReads(), [ACCOUNT]) as silos:
        line = BadLine(LocalTransport(silos), lose_questions=True)
        client = Client(line, now=clock)  # type: ignore[arg-type]
        slow = asyncio.create_task(client.submit(command("open", OPEN, key="slow", patience_s=60)))
        await line.tries(2)
        clock.at += 1_000

        with pytest.raises(OutcomeUnknown):
            await slow


async def test_third_call_leaves_when_it_is_full(
    client: Client, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.runtime.lane.SLOW_S", 60.0)
    line.stuck = {"slow", "b0"}
    sent = []
    for first, size in zip(("slow", "b0", "c0"), ENOUGH, strict=False):
        line.left.clear()
        left = len(line.batches)
        for key in (first, *(f"a{number}" for number in range(1, size))):
            assert len(line.batches) == left
            sent.append(asyncio.create_task(client.submit(command("open", OPEN, key=key, patience_s=60))))
            await asyncio.sleep(0)
        await line.left.wait()

    assert line.batches == list(ENOUGH[:3])
    for each in sent:
        each.cancel()


async def test_actors_that_take_long_do_not_keep_others_waiting(client: Client, line: BadLine) -> None:
    line.stuck = {"slow", "slower", "slowest"}
    slow = []
    for key in sorted(line.stuck):
        line.left.clear()
        slow.append(asyncio.create_task(client.submit(command("open", OPEN, key=key, patience_s=60))))
        await line.left.wait()

    done = await client.submit(command("open", OPEN, key="quick", patience_s=5))

    assert done.version == 1
    for each in slow:
        each.cancel()


async def test_lost_reply_is_asked_for_again_and_the_command_is_done_once(
    client: Client, line: BadLine, store: MemoryEventStore
) -> None:
    await client.submit(command("open", OPEN))
    line.lose_replies = 2

    done = await client.submit(command("deposit", '{"amount": 1}'))

    assert (done.version, done.replayed) == (2, True)
    assert len(await store.read_stream("account-ada")) == 2


async def test_request_that_was_not_sent_is_sent_again(client: Client, line: BadLine) -> None:
    line.lose_requests = 2

    done = await client.submit(command("open", OPEN))

    assert (done.version, done.replayed) == (1, False)


async def test_nothing_sent_until_the_deadline_is_unavailable(client: Client, line: BadLine, clock: Clock) -> None:
    line.lose_requests = 1_000_000
    asking = asyncio.create_task(client.submit(command("open", OPEN, patience_s=60)))
    await line.tries(2)
    clock.at += 1_000

    with pytest.raises(Unavailable):
        await asking


async def test_command_that_is_too_late_does_not_leave(client: Client, line: BadLine) -> None:
    """Once it has left, only the silo knows that nothing was done, and its answer may not come in time."""
    late = command("open", OPEN, patience_s=-1_000)

    with pytest.raises(Unavailable):
        await client.submit(late)
    assert line.batches == []


async def test_command_that_cannot_be_sent_fails_alone(client: Client, line: BadLine) -> None:
    bad = msgspec.structs.replace(command("open", OPEN, key="bad"), by="\ud800")
    good = [command("open", OPEN, key=f"a{number}") for number in range(10)]

    refused, *done = await asyncio.gather(*map(client.submit, [bad, *good]), return_exceptions=True)

    assert isinstance(refused, InvalidCommand)
    assert all(isinstance(each, Done) for each in done)


@pytest.mark.parametrize("odd", [RuntimeError("nobody foresaw it"), None], ids=["an error", "too few answers"])
async def test_odd_end_of_a_call_is_an_unknown_outcome(
    client: Client, line: BadLine, clock: Clock, odd: Exception | None
) -> None:
    line.odd = odd or encode([])
    asking = asyncio.create_task(client.submit(command("open", OPEN, patience_s=60)))
    await line.tries(1)
    clock.at += 1_000

    with pytest.raises(OutcomeUnknown):
        await asking


async def test_no_answer_until_the_deadline_is_an_unknown_outcome(client: Client, line: BadLine, clock: Clock) -> None:
    line.silent = True
    asking = asyncio.create_task(client.submit(command("open", OPEN, patience_s=60)))
    await line.tries(1)
    clock.at += 1_000

    with pytest.raises(OutcomeUnknown):
        await asking


async def test_one_lost_reply_makes_later_refusals_unknown(client: Client, line: BadLine, clock: Clock) -> None:
    line.lose_replies, line.down_after_loss = 1, True
    asking = asyncio.create_task(client.submit(command("open", OPEN, patience_s=60)))
    await line.tries(2)
    clock.at += 1_000

    with pytest.raises(OutcomeUnknown):
        await asking


async def test_refusal_of_a_full_silo_after_a_lost_reply_is_an_unknown_outcome(client: Client, line: BadLine) -> None:
    line.lose_replies = 1
    asking = asyncio.create_task(client.submit(command("open", OPEN, patience_s=60)))
    await line.tries(1)
    line.odd = encode([Full()])

    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(asking, 5)


async def test_short_deadline_is_kept_in_a_batch_with_a_long_one(client: Client, line: BadLine, clock: Clock) -> None:
    line.silent = True
    patient, hasty = (
        asyncio.create_task(client.submit(command("open", OPEN, key=f"{patience_s}", patience_s=patience_s)))
        for patience_s in (3_600, 60)
    )
    await line.tries(1)
    clock.at += 1_000

    with pytest.raises(OutcomeUnknown):
        await hasty
    assert line.batches == [2]
    assert not patient.done()
    patient.cancel()


async def test_rejection_is_raised_at_once(client: Client, line: BadLine) -> None:
    with pytest.raises(Rejected) as raised:
        await client.submit(command("deposit", '{"amount": 1}'))

    assert (raised.value.code, raised.value.absent) == ("account-not-open", True)
    assert line.batches == [1]


async def test_full_silo_is_not_asked_again(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], limits=SiloLimits(commands=0)) as silos:
        line = BadLine(LocalTransport(silos))
        client = Client(line)  # type: ignore[arg-type]
        await client.start()

        with pytest.raises(Overloaded):
            await client.submit(command("open", OPEN))

    assert line.batches == [1]


async def test_client_holds_only_so_many_bytes_of_commands(
    client: Client, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.runtime.lane.MAX_WAITING_BYTES", len(OPEN))
    line.silent = True
    travels = asyncio.create_task(client.submit(command("open", OPEN, key="a")))
    await line.tries(1)
    waits = asyncio.create_task(client.submit(command("open", OPEN, key="b")))
    await asyncio.wait([waits], timeout=0)

    with pytest.raises(Overloaded):
        await client.submit(command("open", OPEN, key="c"))
    for each in (travels, waits):
        each.cancel()


async def test_client_of_several_silos_finds_the_one_of_each_actor(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT], silos=3) as silos:
        client = Client(LocalTransport(silos))
        await client.start()
        keys = [f"a{number}" for number in range(50)]

        await asyncio.gather(*(client.submit(command("open", OPEN, key=key)) for key in keys))

        assert await client.not_ready() == []
    assert [len(await store.read_stream(f"account-{key}")) for key in keys] == [1] * 50


class Grown(LocalTransport):
    """There was one silo when somebody asked for the first time."""

    asked = 0

    @override
    async def layout(self) -> Layout | None:
        self.asked += 1
        layout = await super().layout()
        return layout if layout is None or self.asked > 1 else msgspec.structs.replace(layout, silos=1)


async def test_client_finds_the_silos_again_when_there_are_more_of_them(
    store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.runtime.client.LAYOUT_FRESH_S", 0.0)
    async with running_silos(store, [ACCOUNT], silos=2) as silos:
        client = Client(Grown(silos))
        await client.start()

        done = await asyncio.gather(*(client.submit(command("open", OPEN, key=key)) for key in "abcdefgh"))

    assert {each.partition % 2 for each in done} == {0, 1}


async def test_silo_that_does_not_answer_makes_the_client_not_ready(store: MemoryEventStore) -> None:
    async with running_silos(store, [ACCOUNT]) as silos:
        client = Client(LocalTransport(silos))
        await client.start()
        await silos[0].drain()

        assert await client.not_ready() == ["silo/0 cannot write: it is being stopped"]
