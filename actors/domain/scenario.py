"""Given, when, then: how the rules of an aggregate are tested.

    account = Scenario(ACCOUNT)
    account.given(Opened(owner="ada")).when(Withdraw(amount=80)).rejected(InsufficientFunds)

The checks are plain assertions, so any test runner will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from actors.domain.decider import Command, Decider, Event, Rejection

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
        """The command is decided."""
        state = self._decider.fold(self._history)
        try:
            events = tuple(self._decider.decide(command, state))
        except Rejection as rejection:
            return Outcome(self, (), rejection)
        for event in events:
            again = self._decider.event_types[self._decider.name_of(event)].model_validate_json(event.model_dump_json())
            assert again == event, f"{event!r} does not survive the log: it comes back as {again!r}"  # noqa: S101
        return Outcome(self, events, None)


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
        came = repr(self._rejection) if self._rejection else list(self._events)
        assert self._rejection is None and self._events == events, (  # noqa: S101, PT018
            f"expected {list(events)}, came {came}"
        )
        return self._scenario.given(*events)

    def rejected(self, rule: type[Rejection]) -> Scenario[C, E]:
        """The rule forbids the command; goes on as if it had not been sent.

        Raises:
            AssertionError: it is accepted, or another rule forbids it.
        """
        came = self._rejection or list(self._events)
        assert type(self._rejection) is rule, f"expected {rule.__name__}, came {came!r}"  # noqa: S101
        return self._scenario
