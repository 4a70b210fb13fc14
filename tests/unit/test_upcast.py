"""Events that earlier and later releases have stored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.domain.decider import Decider, Event
from actors.domain.upcast import UnknownEvent, UnreadableEvent, Upcast
from tests.account import ACCOUNT, Opened


class Paid(Event):
    cents: int
    at: datetime


def in_cents(data: dict[str, Any]) -> dict[str, Any]:
    return {"cents": data["euros"] * 100, "at": data["at"]}


def with_time(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "at": "2020-01-01T00:00:00Z"}


PURSE: Decider[Any, Paid, int] = Decider(
    category="purse",
    collection="purses",
    initial=0,
    decide=lambda _command, _state: [],
    evolve=lambda purse, paid: purse - paid.cents,
    command_types={},
    event_types={"Paid3": Paid},
    upcasts={"Paid": Upcast("Paid2", with_time), "Paid2": Upcast("Paid3", in_cents)},
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("Paid", {"euros": 7}),
        ("Paid2", {"euros": 7, "at": "2020-01-01T00:00:00Z"}),
        ("Paid3", {"cents": 700, "at": "2020-01-01T00:00:00Z"}),
    ],
)
def test_event_of_each_version_is_read_as_the_latest(name: str, data: dict[str, Any]) -> None:
    assert PURSE.read_event(name, json.dumps(data)) == Paid(cents=700, at=datetime(2020, 1, 1, tzinfo=UTC))


def test_new_events_are_stored_under_the_latest_name() -> None:
    assert PURSE.name_of(Paid(cents=1, at=datetime(2020, 1, 1, tzinfo=UTC))) == "Paid3"


def test_event_of_a_later_release_is_unknown() -> None:
    with pytest.raises(UnknownEvent):
        PURSE.read_event("Paid4", "{}")


@pytest.mark.parametrize(("name", "data"), [("Paid3", '{"cents": "7"}'), ("Paid", "{}"), ("Paid2", '{"euros": "x"}')])
def test_event_whose_data_does_not_fit_is_unreadable(name: str, data: str) -> None:
    with pytest.raises(UnreadableEvent):
        PURSE.read_event(name, data)


@pytest.mark.parametrize(
    "upcasts",
    [
        {"Paid3": Upcast("Paid3", in_cents)},
        {"Paid": Upcast("Paid2", in_cents)},
        {"Paid": Upcast("Paid2", in_cents), "Paid2": Upcast("Paid", in_cents)},
    ],
    ids=["of an event of today", "to nothing", "in a ring"],
)
def test_upcast_that_leads_nowhere_is_refused(upcasts: dict[str, Upcast]) -> None:
    with pytest.raises(ValueError, match="Paid"):
        replace(PURSE, upcasts=upcasts)


def test_state_is_of_another_schema_when_its_meaning_or_its_events_change() -> None:
    changes: list[dict[str, Any]] = [
        {"state_version": 2},
        {"initial": 0.0},
        {"event_types": {**PURSE.event_types, "Opened": Opened}},
        {"event_types": {"Paid3": Opened}},
    ]
    others = [replace(PURSE, **change) for change in changes]

    assert len({PURSE.state_schema, *(other.state_schema for other in others)}) == 5
    assert replace(PURSE, collection="wallets").state_schema == PURSE.state_schema


def test_account_of_an_earlier_release_is_opened() -> None:
    assert ACCOUNT.read_event("AccountOpened", '{"name": "Ada"}') == Opened(owner="Ada")
