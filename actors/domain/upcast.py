"""Events of every version that was ever stored become events of this release, by pure functions.

A stored name is for ever and stands for one shape of data. When the shape changes, the event gets a new name, and an
upcast says how data under the old name are read. So a version needs no column, and the event of a later release is
simply one whose name nobody here knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from actors.domain.json_text import from_json

E = TypeVar("E", bound=BaseModel)

Convert = Callable[[dict[str, Any]], dict[str, Any]]


class UnreadableEvent(Exception):
    """The log holds an event that this release cannot read; nothing may be made of half a stream."""


class UnknownEvent(UnreadableEvent):
    """Nobody here knows its name: a later release wrote it."""


class Upcast(NamedTuple):
    """How data under an old name are read.

    Attributes:
        to: the name that came after it, perhaps an old one itself.
        convert: pure; the JSON object as it is under that name. May change the one that it is given.
    """

    to: str
    convert: Convert


@dataclass(frozen=True, slots=True)
class Reading(Generic[E]):
    """How data under one name become an event.

    Attributes:
        model: class of the event.
        steps: upcasts on the way there, the oldest first.
    """

    model: type[E]
    steps: tuple[Convert, ...] = ()

    def read(self, data: str) -> E:
        """The event. Raises `UnreadableEvent` when the data do not fit."""
        try:
            return from_json(self.model, self._upcast(data) if self.steps else data)
        except ValidationError as exc:
            raise UnreadableEvent(f"its data does not fit: {_first(exc)}") from exc
        except UnreadableEvent:
            raise
        except Exception as bug:
            raise UnreadableEvent(f"reading its data raised {type(bug).__name__}: {bug}") from bug

    def _upcast(self, data: str) -> str:
        # Back to text, because strict models take a time as text, but not from a decoded object.
        fields = json.loads(data)
        try:
            for convert in self.steps:
                fields = convert(fields)
            return json.dumps(fields)
        except Exception as bug:
            raise UnreadableEvent(f"its upcast raised {type(bug).__name__}: {bug}") from bug


def readings(event_types: Mapping[str, type[E]], upcasts: Mapping[str, Upcast]) -> dict[str, Reading[E]]:
    """Each name that the log may hold, and how it is read.

    Raises:
        ValueError: an upcast is of a present event, or leads to none.
    """
    both = sorted(event_types.keys() & upcasts.keys())
    if both:
        raise ValueError(f"{both[0]!r} is an event of today and has an upcast; give one of them another name")
    found = {name: Reading(model) for name, model in event_types.items()}
    for name in upcasts:
        steps: list[Convert] = []
        at = name
        while at in upcasts and len(steps) < len(upcasts):
            steps.append(upcasts[at].convert)
            at = upcasts[at].to
        if at not in event_types:
            raise ValueError(f"the upcast of {name!r} leads to {at!r}, which is no event of today")
        found[name] = Reading(event_types[at], tuple(steps))
    return found


def _first(error: ValidationError) -> str:
    """What is wrong first, and where; without the value, because messages are logged."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join([*map(str, wrong["loc"]), wrong["msg"]])
