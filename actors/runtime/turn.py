"""One turn: one command meets one activation. Pure but for the activation, which moves on at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from actors.domain.decider import AnyDecider, Command, Event, Rejection
from actors.domain.json_text import from_json, to_json, to_short_json
from actors.runtime.activation import Activation
from actors.runtime.wire import CommandEnvelope, Done, EventOut, Failed, Invalid, Mismatch, Outcome, Refused, Reused
from actors.store.event_store import NewEvent, RecordedEvent

LONGEST_COMMAND = 1024 * 1024

_json = msgspec.json.Encoder()
_command_text = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """What a command came to. Nobody outside the silo may know before the journal says so.

    Attributes:
        outcome: the reply, once it is released; a `Done` gets its position then.
        events: to append. When there are none, the log is asked whether it has this command id, and what it has is
            the reply instead. It need not be asked when there are some: it refuses a command id twice.
    """

    outcome: Outcome
    events: Sequence[NewEvent] = ()


class Way(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who sent a command and which way it came, as the metadata of its events; what is not known is left out."""

    by: str
    request_id: str
    silo: str
    client: str = ""
    traceparent: str = ""
    received_at: float = 0.0


def take_turn(activation: Activation[Any], envelope: CommandEnvelope, silo: str) -> Turn:
    """Decide `envelope` in the state of `activation`, and move that state on."""
    command = _parse(activation, envelope)
    if isinstance(command, Invalid | Failed):
        return Turn(command)
    if activation.knows(envelope.command_id):
        return Turn(_already_true(activation))
    if envelope.expected_version is not None and envelope.expected_version != activation.version:
        return Turn(Mismatch(activation.version))
    try:
        return _decide(activation, envelope, command, silo)
    except Exception as bug:  # noqa: BLE001 - the domain's code is not ours; a poison command must fail alone
        return Turn(_failed(activation, envelope, bug))


def _decide(activation: Activation[Any], envelope: CommandEnvelope, command: Command, silo: str) -> Turn:
    """Whatever the code of the domain may raise, it raises before the activation moves on."""
    try:
        events = activation.decider.decide(command, activation.state)
    except Rejection as no:
        return Turn(Refused(no.code, str(no), no.absent))
    state = activation.after(events)
    if not events:
        return Turn(_already_true(activation))
    new, shown = _new_events(activation, envelope, command, events, silo), []
    for event in new:
        if _holds_nul(event.data):
            nul = f"{envelope.command} of {activation.stream} holds a NUL character, which no view can store"
            return Turn(Failed(nul))
        shown.append(EventOut(event.type, event.version, event.data))
    activation.move(state, activation.version + len(new), envelope.command_id)
    return Turn(Done(activation.version, tuple(shown), activation.partition, 0, False), new)


def text_of(name: str, command: Command) -> str:
    """A command as it stands in the log; a retry has the same text.

    Fields at their default are left out, so that a field added by a later release does not make another
    command of a retry.
    """
    return f'{{"{name}":{to_short_json(command)}}}'


class UnreadableCommand(Exception):
    """The log holds a command that this release cannot read."""


def read_command(decider: AnyDecider, text: str) -> Command:
    """The command that `text_of` wrote.

    Raises:
        UnreadableCommand: it is of a release that knows another one.
    """
    try:
        ((name, fields),) = _command_text.decode(text).items()
        command: Command = from_json(decider.command_types[name], bytes(fields), stored=True)
    except (msgspec.MsgspecError, KeyError, ValueError) as exc:
        raise UnreadableCommand(f"this release cannot read the command {text}") from exc
    return command


def recall(activation: Activation[Any], envelope: CommandEnvelope, written: Sequence[RecordedEvent]) -> Outcome:
    """The reply to a command whose id is in the log, with the events `written` under it, oldest first."""
    command = _parse(activation, envelope)
    if isinstance(command, Invalid | Failed):
        return command
    first, last = written[0], written[-1]
    try:
        text = text_of(envelope.command, command)
    except Exception as bug:  # noqa: BLE001 - as in `take_turn`
        return _failed(activation, envelope, bug)
    if (first.stream, first.command) != (activation.stream, text):
        return Reused()
    shown = tuple(EventOut(event.type, event.version, event.data) for event in written)
    return Done(last.version, shown, last.partition, last.position, True, last.epoch)


def _parse(activation: Activation[Any], envelope: CommandEnvelope) -> Command | Invalid | Failed:
    model = activation.decider.command_types.get(envelope.command)
    if model is None:
        return Invalid(f"{activation.decider.category} has no command {envelope.command!r}")
    if len(envelope.data) > LONGEST_COMMAND:
        return Invalid(f"a command holds at most {LONGEST_COMMAND} characters")
    try:
        command: Command = from_json(model, envelope.data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the command"
        return Invalid(f"{where}: {first['msg']}")
    except Exception as bug:  # noqa: BLE001 - so are the commands
        return _failed(activation, envelope, bug)
    return command


def _failed(activation: Activation[Any], envelope: CommandEnvelope, bug: Exception) -> Failed:
    return Failed(f"{envelope.command} of {activation.stream} raised {type(bug).__name__}")


def _holds_nul(data: str) -> bool:
    # A backslash that is itself escaped is text about a NUL, not one.
    return r"\u0000" in data and r"\u0000" in data.replace("\\\\", "")


def _already_true(activation: Activation[Any]) -> Done:
    return Done(activation.version, (), activation.partition, 0, False)


def _new_events(
    activation: Activation[Any], envelope: CommandEnvelope, command: Command, events: Sequence[Event], silo: str
) -> list[NewEvent]:
    way = Way(envelope.by, envelope.request_id, silo, envelope.client, envelope.traceparent, envelope.received_at)
    metadata = _json.encode(way).decode()
    text: str | None = text_of(envelope.command, command)
    partition, stream, version = activation.partition, activation.stream, activation.version
    new = []
    for ordinal, event in enumerate(events):
        version += 1
        name, data = activation.decider.name_of(event), to_json(event)
        new.append(NewEvent(partition, stream, version, name, data, metadata, envelope.command_id, ordinal, text))
        text = None
    return new
