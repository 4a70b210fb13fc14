"""What is in the log stays readable for ever: each event as it was first stored, under each name that it ever had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.domain.decider import AnyDecider
from actors.domain.operator_log import OPERATOR_LOG
from projections.standard import STANDARD
from tests.account import ACCOUNT

GOLDEN = Path(__file__).parent / "golden"

DECIDERS = [*STANDARD.deciders, ACCOUNT, OPERATOR_LOG]
EVENTS = [pytest.param(decider, name, id=name) for decider in DECIDERS for name in decider.event_types]
OLD_EVENTS = [pytest.param(decider, name, id=name) for decider in DECIDERS for name in decider.upcasts]


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.mark.parametrize(("decider", "name"), EVENTS)
def test_stored_event_is_read_and_written_as_ever(decider: AnyDecider, name: str) -> None:
    event = decider.read_event(name, json.dumps(golden(name)))

    assert json.loads(event.model_dump_json()) == golden(name)
    assert decider.name_of(event) == name


@pytest.mark.parametrize(("decider", "name"), OLD_EVENTS)
def test_event_under_an_old_name_is_read_as_the_same_fact_under_its_present_one(decider: AnyDecider, name: str) -> None:
    event = decider.read_event(name, json.dumps(golden(name)))

    assert json.loads(event.model_dump_json()) == golden(decider.name_of(event))


@pytest.mark.parametrize(("decider", "name"), EVENTS)
def test_field_of_a_later_release_is_ignored(decider: AnyDecider, name: str) -> None:
    event = decider.read_event(name, json.dumps({**golden(name), "new_in_the_next_release": 1}))

    assert json.loads(event.model_dump_json()) == golden(name)


def test_every_golden_file_is_an_event_and_every_event_has_one() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {name for decider in DECIDERS for name in decider.readings}
