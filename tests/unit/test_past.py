"""The law of the past: what an actor was at any moment is what a replay cut there gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.store.event_store import RecordedEvent
from projections.errors import PoisonEvent
from projections.past import Past, Then, row_then
from tests.account import ACCOUNT, Account
from tests.account_domain import ACCOUNTS, AccountRow

START = datetime(2026, 1, 31, 12, tzinfo=UTC)

_amounts = st.integers(1, 5)
# Clocks jump: an event may be dated before the one that it follows.
_seconds = st.integers(0, 20)
_histories = st.lists(st.tuples(st.sampled_from(["Deposited", "Withdrawn"]), _amounts, _seconds), max_size=12)


def recorded(version: int, type_: str, data: str, seconds: int = 0) -> RecordedEvent:
    moment = START + timedelta(seconds=seconds)
    return RecordedEvent(0, version, "account-ada", version, type_, data, "{}", uuid4(), 0, None, 1, moment)


def at(version: int) -> Past:
    return Past(version=version)


def then(events: Sequence[RecordedEvent], past: Past) -> Then[AccountRow]:
    async def history() -> AsyncGenerator[RecordedEvent]:
        for event in events:
            yield event

    return asyncio.run(row_then(ACCOUNTS, history(), past))


def replay(events: Sequence[RecordedEvent]) -> Account:
    return ACCOUNT.fold([ACCOUNT.event_types[event.type].model_validate_json(event.data) for event in events])


@settings(deadline=None, max_examples=40)
@given(_histories)
def test_any_version_is_what_a_replay_up_to_it_gives(history: list[tuple[str, int, int]]) -> None:
    events = _solvent(history)
    for version in range(1, len(events) + 1):
        expected = replay(events[:version])
        assert then(events, at(version)).row == AccountRow(id="ada", owner="Ada", balance=expected.balance)


@settings(deadline=None, max_examples=40)
@given(_histories, _seconds)
def test_any_time_is_what_a_replay_up_to_the_last_event_recorded_by_then_gives(
    history: list[tuple[str, int, int]], seconds: int
) -> None:
    events = _solvent(history)
    moment = START + timedelta(seconds=seconds)
    last = max((event.version for event in events if event.recorded_at <= moment), default=0)

    found = then(events, Past(moment=moment)).row

    assert found == (then(events, at(last)).row if last else None)


def test_actor_without_history_was_never_there() -> None:
    assert then([], at(1)) == Then(None, None)


def test_past_before_the_first_event_is_empty() -> None:
    events = [recorded(1, "Opened", '{"owner": "Ada"}', 5)]

    assert then(events, Past(moment=START)).row is None


def test_event_that_cannot_be_folded_is_told() -> None:
    with pytest.raises(PoisonEvent):
        then([recorded(1, "Opened", '{"owner": 5}')], at(1))


def _solvent(history: Sequence[tuple[str, int, int]]) -> list[RecordedEvent]:
    """An account that is opened, and then as told, without what its rules would forbid or what empties it."""
    events, balance = [recorded(1, "Opened", '{"owner": "Ada"}')], 0
    for type_, amount, seconds in history:
        balance += amount if type_ == "Deposited" else -amount
        if balance <= 0:
            balance += amount
            continue
        events.append(recorded(len(events) + 1, type_, f'{{"amount": {amount}}}', seconds))
    return events
