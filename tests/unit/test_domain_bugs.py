"""Bugs of a domain hit the command, or the actor, that has them, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from pydantic import field_serializer, field_validator

from actors.domain.decider import Rejection
from actors.runtime.wire import Done, Failed, NotNow, Refused, decode_outcomes, encode
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT, Deposit, Deposited, Opened, Withdraw
from tests.in_process import command, running_silos

ONE = '{"amount": 1}'


class Nameless(Rejection):
    """A rejection without a code."""


def poisoned(bad: Callable[[], Any]) -> Callable[..., Any]:
    """Decides as accounts do, but for withdrawals."""
    return lambda command, account: bad() if isinstance(command, Withdraw) else ACCOUNT.decide(command, account)


def refuse_nameless() -> None:
    raise Nameless


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda: [Opened(owner="\ud800")], id="an event that is no text"),
        pytest.param(lambda: [object()], id="no event"),
        pytest.param(lambda: None, id="nothing"),
        pytest.param(
            lambda: [Deposited.model_construct(amount=cast(int, object()))], id="an event that cannot be written"
        ),
        pytest.param(refuse_nameless, id="a rejection without a code"),
    ],
)
@pytest.mark.parametrize("asleep", [True, False], ids=["asleep", "awake"])
async def test_bug_in_decide_fails_its_command_alone(bad: Callable[[], Any], asleep: bool) -> None:
    decider = replace(ACCOUNT, decide=poisoned(bad))
    async with running_silos(MemoryEventStore(partitions=1), [decider]) as (silo,):
        if not asleep:
            await silo.execute(encode([command("open", '{"owner": "x"}')]))
        blob = [
            command("open", '{"owner": "x"}'),
            command("withdraw", '{"amount": 1}'),
            command("deposit", '{"amount": 1}'),
        ]
        before, failed, after = decode_outcomes(await silo.execute(encode(blob)))

    assert isinstance(failed, Failed)
    assert isinstance(before, Done)
    assert isinstance(after, Done)
    assert after.version == 2


class Choosy(Withdraw):
    @field_validator("amount")
    @classmethod
    def _refuse(cls, amount: int) -> int:
        raise ZeroDivisionError


async def test_bug_in_a_command_fails_it_alone() -> None:
    decider = replace(ACCOUNT, command_types={**ACCOUNT.command_types, "withdraw": Choosy})
    async with running_silos(MemoryEventStore(partitions=1), [decider]) as (silo,):
        batch = [command("open", '{"owner": "x"}'), command("withdraw", ONE), command("deposit", ONE)]
        before, failed, after = decode_outcomes(await silo.execute(encode(batch)))

    assert isinstance(failed, Failed)
    assert isinstance(before, Done)
    assert isinstance(after, Done)


class Wordless(Deposit):
    note: str = ""

    @field_serializer("note")
    def _write(self, note: str) -> str:
        raise ZeroDivisionError


async def test_bug_in_writing_a_command_fails_it_alone_also_under_the_id_of_one_that_was_done() -> None:
    decider = replace(ACCOUNT, command_types={**ACCOUNT.command_types, "deposit": Wordless})
    done, noted = command("open", '{"owner": "x"}'), '{"amount": 1, "note": "x"}'
    async with running_silos(MemoryEventStore(partitions=1), [decider]) as (silo,):
        await silo.execute(encode([done]))
        batch = [
            command("deposit", noted),
            command("deposit", noted, command_id=done.command_id),
            command("withdraw", ONE),
        ]
        new, reused, after = decode_outcomes(await silo.execute(encode(batch)))

    assert isinstance(new, Failed)
    assert isinstance(reused, Failed)
    assert isinstance(after, Refused)


class Bitter(Deposited):
    @field_validator("amount")
    @classmethod
    def _refuse(cls, amount: int) -> int:
        if amount == 13:
            raise ZeroDivisionError
        return amount


def evolve(account: Any, event: Any) -> Any:
    if event == Deposited(amount=13):
        raise ZeroDivisionError
    return ACCOUNT.evolve(account, event)


@pytest.mark.parametrize(
    "buggy",
    [
        pytest.param({"evolve": evolve}, id="evolve"),
        pytest.param({"event_types": {**ACCOUNT.event_types, "Deposited": Bitter}}, id="an event"),
    ],
)
async def test_bug_in_what_an_actor_is_loaded_with_stops_it_alone(buggy: dict[str, Any]) -> None:
    store = MemoryEventStore(partitions=1)
    async with running_silos(store, [ACCOUNT]) as (silo,):
        for key in ("ada", "bob"):
            await silo.execute(encode([command("open", '{"owner": "x"}', key=key)]))
        await silo.execute(encode([command("deposit", '{"amount": 13}')]))

    async with running_silos(store, [replace(ACCOUNT, **buggy)]) as (silo,):
        batch = [command("open", '{"owner": "x"}', key=key) for key in ("ada", "bob")]
        ada, bob = decode_outcomes(await silo.execute(encode(batch)))

    assert isinstance(ada, NotNow)
    assert "ZeroDivisionError" in ada.reason
    assert isinstance(bob, Done)
