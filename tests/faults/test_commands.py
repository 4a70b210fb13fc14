"""Commands that are sent too often, under a stolen name, that are poison, or too big: they fail alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from actors.errors import ActorsError, CommandFailed, CommandIdReused, InvalidCommand
from tests.faults.bank import ACCOUNTS, Bank, any_command, postgres_bank
from tests.faults.history import Operation, callers
from tests.in_process import command


@pytest.fixture
async def bank(events_url: str) -> AsyncIterator[Bank]:
    async with postgres_bank(events_url, silos=2) as bank:
        yield bank


@pytest.mark.parametrize("commands", [600, pytest.param(20_000, marks=pytest.mark.long)])
async def test_f24_each_command_delivered_two_to_five_times_across_kills(bank: Bank, commands: int) -> None:
    chance = random.Random(0)  # noqa: S311 - no secret
    late: list[Operation] = []

    async def call(caller: int) -> None:
        envelope = any_command(chance, f"a{caller % ACCOUNTS}")
        again = [bank.history.send(bank.submit, envelope) for _ in range(chance.randint(1, 4))]
        late.append((await asyncio.gather(*again))[0])

    async with callers(call, 30):
        kills = 0
        while kills < 3 or not bank.transport.lost:
            await bank.history.more(commands // 3)
            with bank.history.fault("kill"):
                await bank.machines[chance.randrange(2)].restart()
            kills += 1
        await bank.history.more(commands // 3)
    await asyncio.gather(*(bank.history.send(bank.submit, each.envelope) for each in late))

    replayed = sum(each.done is not None and each.done.replayed for each in bank.history.operations)
    assert replayed > commands / 4


async def test_f26_command_id_of_another_command_writes_nothing(bank: Bank) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    async with bank.load():
        await bank.history.more(200)
        used = [each for each in bank.history.operations if each.done and each.done.events]
        for each in used[:100]:
            stolen = any_command(chance, f"a{chance.randrange(ACCOUNTS)}")
            envelope = command(stolen.command, stolen.data, key=stolen.key, command_id=each.envelope.command_id)
            await bank.history.send(bank.submit, envelope)
    assert sum(isinstance(each.outcome, CommandIdReused) for each in bank.history.operations) > 20


DEEP = "[" * 50_000 + "]" * 50_000
HUGE = '{"owner": "' + "x" * 10_000_000 + '"}'


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        pytest.param("audit", "{}", CommandFailed, id="a bug in decide"),
        pytest.param("open", HUGE, InvalidCommand, id="ten megabytes"),
        pytest.param("open", r'{"owner": "\ud800"}', InvalidCommand, id="a lone surrogate"),
        pytest.param("open", r'{"owner": "\u0000"}', CommandFailed, id="a NUL"),
        pytest.param("deposit", f'{{"amount": {DEEP}}}', InvalidCommand, id="deep JSON"),
        pytest.param("deposit", '{"amount": NaN}', InvalidCommand, id="NaN"),
        pytest.param("weigh", '{"weight": Infinity}', CommandFailed, id="infinity"),
        pytest.param("deposit", '{"amount": 1e400}', InvalidCommand, id="1e400"),
        pytest.param("deposit", '{"amount": 9223372036854775808}', None, id="2^63"),
        pytest.param("deposit", "\x00", InvalidCommand, id="no JSON"),
        pytest.param("deposit", '{"amount": 1, "amount": 2}', None, id="a field twice"),
    ],
)
async def test_f28_poison_fails_alone(bank: Bank, name: str, data: str, error: type[ActorsError] | None) -> None:
    await bank.history.send(bank.submit, command("open", '{"owner": "x"}', key="mate"))
    await bank.history.send(bank.submit, command("open", '{"owner": "x"}', key="poisoned"))

    poison = command(name, data, key="poisoned" if name != "open" else "new")
    mates = [command("deposit", '{"amount": 1}', key=key) for key in ("mate", "poisoned", "mate")]
    outcomes = await asyncio.gather(*(bank.history.send(bank.submit, each) for each in (mates[0], poison, *mates[1:])))

    if error is not None:
        assert isinstance(outcomes[1].outcome, error)
        bank.history.operations.remove(outcomes[1])
    assert all(outcomes[place].done for place in (0, 2, 3))
    assert bank.machines[0].alive
    assert bank.machines[1].alive
