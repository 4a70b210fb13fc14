"""Bugs of a domain hit the command, or the actor, that has them, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from actors.domain.decider import Rejection
from actors.runtime.wire import Done, Failed, NotNow, decode_outcomes, encode
from actors.store.memory import MemoryEventStore
from tests.account import ACCOUNT, Deposited, Opened, Withdraw
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


async def test_bug_in_evolve_stops_its_actor_alone() -> None:
    store = MemoryEventStore(partitions=1)
    async with running_silos(store, [ACCOUNT]) as (silo,):
        for key in ("ada", "bob"):
            await silo.execute(encode([command("open", '{"owner": "x"}', key=key)]))
        await silo.execute(encode([command("deposit", '{"amount": 13}')]))

    def evolve(account: Any, event: Any) -> Any:
        if event == Deposited(amount=13):
            raise ZeroDivisionError
        return ACCOUNT.evolve(account, event)

    async with running_silos(store, [replace(ACCOUNT, evolve=evolve)]) as (silo,):
        batch = [command("deposit", ONE, key=key) for key in ("ada", "bob")]
        ada, bob = decode_outcomes(await silo.execute(encode(batch)))

    assert isinstance(ada, NotNow)
    assert "ZeroDivisionError" in ada.reason
    assert isinstance(bob, Done)
