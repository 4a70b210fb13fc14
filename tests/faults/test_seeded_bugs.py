"""A checker that cannot fail proves nothing: here are bugs, each of which it must find.

They are variants of the parts of the service, made in this file; the service has no switch for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import cast
from uuid import UUID

import pytest
from typing_extensions import override

from actors.runtime import recent_ids
from actors.runtime.activation import Activation
from actors.runtime.client import Client
from actors.runtime.silo import Silo
from actors.store.event_store import EventStore, NewEvent, RecordedEvent, WriteSession
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT
from tests.faults.bank import Bank, Machine, MachineTransport, running_bank
from tests.faults.faulty_store import FaultySession, FaultyStore, Plan
from tests.faults.history import Submit
from tests.in_process import command

OPEN = '{"owner": "Ada"}'
ONE = '{"amount": 1}'


@asynccontextmanager
async def bank_with_bug(
    store: MemoryEventStore,
    finding: str,
    *,
    session: Callable[[WriteSession], WriteSession] = lambda session: session,
) -> AsyncIterator[Bank]:
    """A bank with an open account, and a bug that the check must name."""
    buggy = cast(EventStore, FaultyStore(store, session))

    async def open_store() -> EventStore:
        return buggy

    def expect(problems: list[str]) -> None:
        assert any(finding in problem for problem in problems), problems

    async with running_bank(open_store, lambda: nullcontext(store.scan()), expect=expect) as bank:
        assert (await bank.history.send(bank.submit, command("open", OPEN))).done
        yield bank


async def test_ack_before_commit_and_a_kill_in_between() -> None:
    async with bank_with_bug(
        MemoryEventStore(partitions=1), "I1: what was acknowledged is not in the log", session=AckBeforeCommit
    ) as bank:
        assert (await bank.history.send(bank.submit, command("deposit", ONE))).done
        await bank.machines[0].kill()


class AckBeforeCommit(FaultySession):
    """Answers first and writes later; from the second append on, there is no later."""

    def __init__(self, inner: WriteSession) -> None:
        super().__init__(inner, Plan())

    @override
    async def append(self, events: Sequence[NewEvent]) -> Sequence[int]:
        if self.heads[0]:
            return [self.heads[0] + 1 + place for place in range(len(events))]
        return await super().append(events)


class ForgetfulStore(MemoryEventStore):
    """Has no index over command ids."""

    @override
    def _check(self, events: Sequence[NewEvent]) -> None:
        self._commands.clear()
        super()._check(events)

    @override
    def find(self, command_ids: object) -> Mapping[UUID, Sequence[RecordedEvent]]:
        return {}


async def test_no_dedupe_and_calls_that_are_delivered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `max_task_retries=-1` of Ray would do."""
    monkeypatch.setattr(Activation, "knows", lambda *_: False)
    async with bank_with_bug(ForgetfulStore(partitions=1), "promise='once'") as bank:
        deliver = bank.transport.execute

        async def twice(silo: int, blob: bytes) -> bytes:
            await deliver(silo, blob)
            return await deliver(silo, blob)

        monkeypatch.setattr(bank.transport, "execute", twice)
        await bank.history.send(bank.submit, command("deposit", ONE))


async def test_dedupe_only_in_memory_and_a_retry_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Activation.load

    def load_without_ids(self: Activation[object], history: Sequence[RecordedEvent]) -> None:
        load(self, history)
        self.recent = recent_ids.NONE

    async with bank_with_bug(ForgetfulStore(partitions=1), "I2: it was done twice") as bank:
        deposit = command("deposit", ONE)
        await bank.history.send(bank.submit, deposit)
        monkeypatch.setattr(Activation, "load", load_without_ids)
        await bank.machines[0].restart()
        await bank.history.send(bank.submit, deposit)
        monkeypatch.undo()


class UnfencedStore(MemoryEventStore):
    """Checks no epochs."""

    @override
    def owns(self, epochs: Mapping[int, int]) -> bool:
        return True


@asynccontextmanager
async def new_owner(store: EventStore) -> AsyncIterator[Submit]:
    """A second copy of the silo, which takes over; gives a way to it."""

    async def open_store() -> EventStore:
        return store

    machine = Machine(lambda: Silo(0, 1, [ACCOUNT], open_store, 0))
    yield Client(MachineTransport([machine])).submit
    await machine.kill()


async def test_no_epoch_check_and_two_owners() -> None:
    store = UnfencedStore(partitions=1)
    async with bank_with_bug(store, "promise='fenced'") as former, new_owner(store) as submit:
        await former.history.send(submit, command("open", OPEN, key="bob"))
        await former.history.send(former.submit, command("deposit", ONE))


async def test_refusal_without_a_proof_of_ownership() -> None:
    store = UnfencedStore(partitions=1)
    async with bank_with_bug(store, "I7: it was refused, but not by the rules") as former, new_owner(store) as submit:
        await former.history.send(submit, command("deposit", ONE))
        await former.history.send(former.submit, command("withdraw", ONE))


async def test_already_true_without_a_proof_of_ownership() -> None:
    store = UnfencedStore(partitions=1)
    async with bank_with_bug(store, "I6: its version is none of") as former, new_owner(store) as submit:
        await former.history.send(submit, command("deposit", ONE))
        await former.history.send(former.submit, command("open", OPEN))
