"""Given, when, then: how the rules of an aggregate are tested.

    account = Scenario(ACCOUNT)
    account.given(Opened(owner="ada")).when(Withdraw(amount=80)).rejected(InsufficientFunds)

A check that fails raises `AssertionError`, so any test runner will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from actors.domain.decider import Command, Decider, Event, Rejection
from actors.domain.json_text import from_json, to_json

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)


class Scenario(Generic[C, E]):
    """What has happened to an actor so far. Immutable: each step makes another scenario."""

    def __init__(self, decider: Decider[C, E, Any], history: Sequence[E] = ()) -> None:
        self._decider = decider
        self._history = tuple(history)

    def given(self, *events: E) -> Scenario[C, E]:
        """These events have happened, after those that had."""
        return Scenario(self._decider, (*self._history, *events))

    def when(self, command: C) -> Outcome[C, E]:
        """The command is decided.

        Raises:
            AssertionError: the decider does not know the command or an event that follows from it, or the event
                is not the same once it was stored.
        """
        if type(command) not in self._decider.command_types.values():
            raise AssertionError(f"{command!r} is not a command of {self._decider.category!r}")
        state = self._decider.fold(self._history)
        try:
            events = tuple(self._decider.decide(command, state))
        except Rejection as rejection:
            return Outcome(self, (), rejection)
        for event in events:
            self._check_stored(event)
        return Outcome(self, events, None)

    def _check_stored(self, event: E) -> None:
        if type(event) not in self._decider.event_types.values():
            raise AssertionError(f"{event!r} is not an event of {self._decider.category!r}")
        again = from_json(type(event), to_json(event))
        if again != event:
            raise AssertionError(f"{event!r} does not survive the log: it comes back as {again!r}")


class Outcome(Generic[C, E]):
    """What a command led to."""

    def __init__(self, scenario: Scenario[C, E], events: Sequence[E], rejection: Rejection | None) -> None:
        self._scenario = scenario
        self._events = tuple(events)
        self._rejection = rejection

    def then(self, *events: E) -> Scenario[C, E]:
        """Exactly these events follow, none when it was already true; goes on from there.

        Raises:
            AssertionError: others follow, or the command is rejected.
        """
        if self._rejection is not None or self._events != events:
            raise AssertionError(f"expected {list(events)}, came {self._came()}")
        return self._scenario.given(*events)

    def rejected(self, rule: type[Rejection]) -> Scenario[C, E]:
        """The rule forbids the command; goes on as if it had not been sent.

        Raises:
            AssertionError: it is accepted, or another rule forbids it.
        """
        if type(self._rejection) is not rule:
            raise AssertionError(f"expected {rule.__name__}, came {self._came()}")
        return self._scenario

    def _came(self) -> str:
        return repr(list(self._events) if self._rejection is None else self._rejection)
