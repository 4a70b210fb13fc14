"""What an aggregate is: decide, evolve, initial (Jérémie Chassaing's Decider), and the names of its messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Command(BaseModel):
    """Base of all commands: immutable, exact types, unknown fields are an error, and so are numbers JSON has not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Event(BaseModel):
    """Base of all events: immutable business facts.

    Unknown fields are ignored, because two releases share one log while a new one is rolled out.
    Identity, version, position, time and author are not here: they live in the envelope.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Rejection(Exception):
    """Raised by `decide` when a rule forbids the command. One subclass for each rule.

    Attributes:
        code: stable name of the rule, part of the public contract.
        absent: true when the rule is that the actor must exist first.
    """

    code: ClassVar[str]
    absent: ClassVar[bool] = False


C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
S = TypeVar("S")


@dataclass(frozen=True)
class Decider(Generic[C, E, S]):
    """One kind of actor.

    Attributes:
        category: first part of the stream name, `customer` in `customer-alice`.
        collection: the plural that stands in URLs, `customers`.
        initial: state of an actor without events.
        decide: pure; the events that follow from a command in a state, none when it is already true.
            Raises a `Rejection` when a rule forbids it.
        evolve: pure; the state after one event. Has no rules and never raises.
        command_types: command name as in URLs and in the log → class.
        event_types: event name as stored → class. Names are for ever.
    """

    category: str
    collection: str
    initial: S
    decide: Callable[[C, S], Sequence[E]]
    evolve: Callable[[S, E], S]
    command_types: Mapping[str, type[C]]
    event_types: Mapping[str, type[E]]
    _names: Mapping[type[BaseModel], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if re.fullmatch("[a-z][a-z0-9_]*", self.category) is None:
            raise ValueError(f"{self.category!r} is no category: use a-z, 0-9 and _, so that stream names stay clear")
        names: dict[type[BaseModel], str] = {model: name for name, model in self.command_types.items()}
        names.update({model: name for name, model in self.event_types.items()})
        if len(names) != len(self.command_types) + len(self.event_types):
            raise ValueError(f"decider {self.category!r}: one class stands under two names")
        object.__setattr__(self, "_names", names)

    def name_of(self, message: C | E) -> str:
        """The stored name of a command or event. Raises `KeyError` for a class of another decider."""
        return self._names[type(message)]

    def fold(self, events: Sequence[E]) -> S:
        """The state after `events`, oldest first."""
        state = self.initial
        for event in events:
            state = self.evolve(state, event)
        return state


AnyDecider = Decider[Any, Any, Any]
