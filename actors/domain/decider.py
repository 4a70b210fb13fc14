"""What an aggregate is: decide, evolve, initial (Jérémie Chassaing's Decider), and the names of its messages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict

from actors.domain.upcast import Reading, UnknownEvent, Upcast, readings


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
        initial: state of an actor without events: an immutable value that msgspec can write as JSON and read again,
            such as a frozen `msgspec.Struct`, which is changed ten times as fast as a dataclass.
        decide: pure; the events that follow from a command in a state, none when it is already true.
            Raises a `Rejection` when a rule forbids it.
        evolve: pure; the state after one event. Has no rules and never raises.
        command_types: command name as in URLs and in the log → class.
        event_types: event name as stored → class. Names are for ever.
        upcasts: name under which an event was stored by earlier releases → how it is read today.
        state_version: raise it when `evolve` makes another state of the same events, and kept states are not
            used any more. A change of the type of the state, or of an event, is noticed without it.
        readings: each event name that the log may hold → how it is read.
        lives_long: an actor of this kind may be given a process of its own; false for kinds of which there are many
            and each is soon done.
    """

    category: str
    collection: str
    initial: S
    decide: Callable[[C, S], Sequence[E]]
    evolve: Callable[[S, E], S]
    command_types: Mapping[str, type[C]]
    event_types: Mapping[str, type[E]]
    upcasts: Mapping[str, Upcast] = field(default_factory=dict)
    state_version: int = 1
    lives_long: bool = True
    readings: Mapping[str, Reading[E]] = field(init=False, repr=False, compare=False)
    _names: Mapping[type[BaseModel], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if re.fullmatch("[a-z][a-z0-9_]*", self.category) is None:
            raise ValueError(f"{self.category!r} is no category: use a-z, 0-9 and _, so that stream names stay clear")
        names: dict[type[BaseModel], str] = {model: name for name, model in self.command_types.items()}
        names.update({model: name for name, model in self.event_types.items()})
        if len(names) != len(self.command_types) + len(self.event_types):
            raise ValueError(f"decider {self.category!r}: one class stands under two names")
        try:
            msgspec.json.schema(type(self.initial))
        except TypeError as exc:
            raise ValueError(
                f"decider {self.category!r}: msgspec cannot write a {type(self.initial).__name__} as JSON; "
                "make the state a frozen msgspec.Struct, or a dataclass"
            ) from exc
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "readings", readings(self.event_types, self.upcasts))

    def name_of(self, message: C | E) -> str:
        """The stored name of a command or event. Raises `KeyError` for a class of another decider."""
        return self._names[type(message)]

    def read_event(self, name: str, data: str) -> E:
        """An event as it was stored, by this or an earlier release.

        Raises:
            UnreadableEvent: a later release wrote it, or its data does not fit.
        """
        reading = self.readings.get(name)
        if reading is None:
            raise UnknownEvent("this release does not know the type")
        return reading.read(data)

    def fold(self, events: Sequence[E]) -> S:
        """The state after `events`, oldest first."""
        state = self.initial
        for event in events:
            state = self.evolve(state, event)
        return state

    def dump_state(self, state: S) -> str:
        """A state as JSON text.

        Raises:
            ValueError: another state would come back.
            Exception: what msgspec raises when it cannot write the state, or read it again.
        """
        text = msgspec.json.encode(state).decode()
        if self.load_state(text) != state:
            raise ValueError(f"a state of {self.category!r} does not survive as JSON")
        return text

    def load_state(self, text: str) -> S:
        """The state of a text that `dump_state` made under the same `state_schema`."""
        return self._states.decode(text)

    @cached_property
    def state_schema(self) -> str:
        """Names what a kept state was made by: the types of the state and of all events, and `state_version`.

        The events belong to it, so that a release that does not know one of them makes nothing of a state in which
        it is folded.
        """
        types = {
            "state": msgspec.json.schema(type(self.initial)),
            "events": {name: model.model_json_schema() for name, model in self.event_types.items()},
            "upcasts": {name: upcast.to for name, upcast in self.upcasts.items()},
        }
        digest = hashlib.blake2b(json.dumps(types, sort_keys=True).encode(), digest_size=8).hexdigest()
        return f"{self.state_version}-{digest}"

    @cached_property
    def _states(self) -> msgspec.json.Decoder[S]:
        return msgspec.json.Decoder(type(self.initial))


AnyDecider = Decider[Any, Any, Any]
