"""What operators asked of the service: an actor of its own in every domain, so that it cannot be lost.

Nobody sends its commands from outside; gateways do, before they do what was asked for. Who it was stands in the
envelope.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.domain.decider import Command, Decider, Event

# There is one such actor for a service.
KEY = "service"

# Commands


class Note(Command):
    """Somebody asks for something, such as a rebuild of a projection."""

    action: str
    target: str


# Events


class ActionRequested(Event):
    """Somebody asked for it; whether it could be done, the service says elsewhere."""

    action: str
    target: str


# Rules


def decide(command: Note, _: int) -> Sequence[ActionRequested]:
    """Whatever is asked for is noted, each time."""
    return [ActionRequested(action=command.action, target=command.target)]


def evolve(requests: int, _: ActionRequested) -> int:
    """How many requests there were."""
    return requests + 1


OPERATOR_LOG = Decider(
    category="operator",
    collection="operator",
    initial=0,
    decide=decide,
    evolve=evolve,
    command_types={"note": Note},
    event_types={"ActionRequested": ActionRequested},
    lives_long=False,
)
