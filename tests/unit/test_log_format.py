"""What is in the log stays readable for ever: each event as it was first stored, letter by letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.domain.decider import AnyDecider
from projections.standard import STANDARD

GOLDEN = Path(__file__).parent / "golden"

EVENTS = [(decider, name) for decider in STANDARD.deciders for name in decider.event_types]


@pytest.mark.parametrize(("decider", "name"), EVENTS, ids=[name for _, name in EVENTS])
def test_stored_event_is_read_and_written_as_ever(decider: AnyDecider, name: str) -> None:
    stored = json.loads((GOLDEN / f"{name}.json").read_text())

    event = decider.event_types[name].model_validate_json(json.dumps(stored))

    assert json.loads(event.model_dump_json()) == stored
    assert decider.name_of(event) == name


@pytest.mark.parametrize(("decider", "name"), EVENTS, ids=[name for _, name in EVENTS])
def test_field_of_a_later_release_is_ignored(decider: AnyDecider, name: str) -> None:
    stored = json.loads((GOLDEN / f"{name}.json").read_text())

    event = decider.event_types[name].model_validate_json(json.dumps({**stored, "new_in_the_next_release": 1}))

    assert json.loads(event.model_dump_json()) == stored


def test_every_golden_file_is_an_event() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {name for _, name in EVENTS}
