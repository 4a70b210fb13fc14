"""Hypothesis looks for an order of commands, retries, crashes, take-overs and lost replies that breaks a promise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test
from typing_extensions import override

from actors.errors import OutcomeUnknown, Unavailable
from actors.runtime.client import _done
from actors.runtime.lane import Lost, NotSent
from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Done, decode_outcomes, encode
from actors.store.event_store import EventStore, NewEvent, StoreUnavailable
from actors.store.log_scan import LogScan
from actors.store.memory import MemoryEventStore
from actors.store.postgres import PostgresEventStore
from actors.store.postgres_scan import scan_log
from tests.account import ACCOUNT
from tests.faults.bank import PARTITIONS, Machine, never_below_zero
from tests.faults.checker import check
from tests.faults.faulty_store import FaultySession, Plan, planned
from tests.faults.history import History
from tests.faults.test_seeded_bugs import UnfencedStore
from tests.in_process import command

COPIES = st.sampled_from([0, 1])
KEYS = st.sampled_from(["ada", "bob", "cleo"])
VERSIONS = st.sampled_from([None, None, None, 0, 1, 3])
COMMANDS = st.sampled_from(
    [
        ("open", '{"owner": "x"}'),
        ("found", '{"owner": "x", "amount": 3}'),
        ("deposit", '{"amount": 2}'),
        ("withdraw", '{"amount": 1}'),
        ("withdraw", '{"amount": 4}'),
        ("audit", "{}"),
    ]
)


@dataclass
class Log:
    """Where the examples write: each a log of its own, or all into one."""

    open_store: Callable[[], Awaitable[EventStore]]
    scan: Callable[[EventStore], AbstractAsyncContextManager[LogScan]]


class NextAppend(Plan):
    """What the next append meets, if anything."""

    before = after = False

    @override
    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if self.before:
            self.before = False
            raise StoreUnavailable("the connection broke before the commit")

    @override
    async def after_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None:
        if self.after:
            self.after = False
            raise StoreUnavailable("the connection broke after the commit")


class TwoCopies(RuleBasedStateMachine):
    """Two copies of one silo. Whichever started last is the owner; the other believes so until it is told otherwise."""

    sent = Bundle("sent")

    def __init__(self, log: Log, runner: asyncio.Runner) -> None:
        super().__init__()
        self._run = runner.run
        self._log = log
        self._history = History()
        self._plan = NextAppend()
        self._example = uuid4().hex[:8]
        self._run(self._start())

    async def _start(self) -> None:
        self._store = await self._log.open_store()
        faulty = planned(self._plan)(self._store)

        async def open_store() -> EventStore:
            return faulty

        def copy() -> Silo:
            return Silo(0, 1, [ACCOUNT], open_store, 0, limits=SiloLimits(activations=2))

        self._copies = [Machine(copy), Machine(copy)]
        await self._copies[1].owning()

    @rule(target=sent, copy=COPIES, key=KEYS, what=COMMANDS, expected_version=VERSIONS)
    def send(self, copy: int, key: str, what: tuple[str, str], expected_version: int | None) -> CommandEnvelope:
        envelope = command(*what, key=f"{key}-{self._example}", expected_version=expected_version)
        self._run(self._send(copy, envelope))
        return envelope

    @rule(copy=COPIES, envelope=sent)
    def retry(self, copy: int, envelope: CommandEnvelope) -> None:
        self._run(self._send(copy, envelope))

    @rule(copy=COPIES, envelope=sent, what=COMMANDS)
    def use_its_id_for_something_else(self, copy: int, envelope: CommandEnvelope, what: tuple[str, str]) -> None:
        self._run(self._send(copy, command(*what, key=envelope.key, command_id=envelope.command_id)))

    @rule(copies=st.lists(COPIES, min_size=2, max_size=4), envelope=sent, key=KEYS)
    def deliver_many_at_once(self, copies: list[int], envelope: CommandEnvelope, key: str) -> None:
        other = command("deposit", '{"amount": 1}', key=f"{key}-{self._example}")
        self._run(self._send_all([(copy, each) for copy in copies for each in (envelope, other)]))

    @rule(copy=COPIES)
    def start_anew_and_take_over(self, copy: int) -> None:
        self._run(self._copies[copy].restart())
        self._run(self._copies[copy].owning())

    @rule(copy=COPIES)
    def kill(self, copy: int) -> None:
        self._run(self._copies[copy].kill())

    @rule()
    def lose_the_next_append(self) -> None:
        self._plan.before = True

    @rule()
    def lose_the_reply_to_the_next_append(self) -> None:
        self._plan.after = True

    @override
    def teardown(self) -> None:
        problems = self._run(self._end())
        assert not problems, "\n".join(problems)

    async def _end(self) -> list[str]:
        for machine in self._copies:
            await machine.kill()
        try:
            async with self._log.scan(self._store) as scan:
                return await check(self._history, scan, [ACCOUNT], law=never_below_zero)
        finally:
            await self._store.close()

    async def _send_all(self, sendings: Sequence[tuple[int, CommandEnvelope]]) -> None:
        await asyncio.gather(*(self._send(copy, envelope) for copy, envelope in sendings))

    async def _send(self, copy: int, envelope: CommandEnvelope) -> None:
        async def submit(envelope: CommandEnvelope) -> Done:
            try:
                (outcome,) = decode_outcomes(await self._copies[copy].execute(encode([envelope])))
            except NotSent as exc:
                raise Unavailable(str(exc)) from exc
            except Lost as exc:
                raise OutcomeUnknown(envelope.command_id, str(exc)) from exc
            return _done(envelope, outcome)

        await self._history.send(submit, envelope)


def search(log: Log, examples: int, *, phases: Sequence[Phase] = tuple(Phase)) -> None:
    with asyncio.Runner() as runner:
        run_state_machine_as_test(
            lambda: TwoCopies(log, runner),  # type: ignore[arg-type]
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                phases=phases,
                suppress_health_check=list(HealthCheck),
            ),
        )


def in_memory(make: Callable[[], MemoryEventStore]) -> Log:
    async def open_store() -> EventStore:
        return make()

    def scan(store: EventStore) -> AbstractAsyncContextManager[LogScan]:
        assert isinstance(store, MemoryEventStore)
        return nullcontext(store.scan())

    return Log(open_store, scan)


@pytest.mark.parametrize("examples", [60, pytest.param(3_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_no_order_breaks_a_promise_in_memory(examples: int) -> None:
    search(in_memory(lambda: MemoryEventStore(partitions=PARTITIONS)), examples)


def test_search_finds_a_seeded_bug() -> None:
    with pytest.raises(AssertionError, match=r"promise='fenced'|I6|I7"):
        # It ends with the first that is found, after fifty or so.
        search(in_memory(lambda: UnfencedStore(partitions=PARTITIONS)), 2_000, phases=[Phase.generate])


@pytest.mark.parametrize("examples", [3, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_no_order_breaks_a_promise_on_postgres(events_url: str, examples: int) -> None:
    async def open_store() -> EventStore:
        return await PostgresEventStore.open(events_url, partitions=PARTITIONS)

    search(Log(open_store, lambda _: scan_log(events_url)), examples)
