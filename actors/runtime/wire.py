"""What travels between clients and silos: one blob of bytes for a batch there, one for the replies back.

The encoding is MessagePack, arrays instead of objects; both ends run the same release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from actors.runtime.home import Address
from actors.store.event_store import Mark, Marks


class CommandEnvelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command on its way to an actor.

    Attributes:
        category, key: the actor it is for.
        command: its name, as in URLs.
        data: its fields as JSON text.
        expected_version: version that the actor must have, 0 = must not exist, None = any.
        deadline: Unix time in seconds after which it must not be decided any more.
        by: who sent it, from a verified token or the program's own name.
        request_id: of the request that carried it, for people.
        client: the program that sent it, from the token; empty when that is not known.
        traceparent: place in a distributed trace, as W3C Trace Context writes it; empty when there is none.
        received_at: Unix time in seconds at which the gateway had it; 0 when it came another way.
    """

    category: str
    key: str
    command: str
    data: str
    command_id: UUID
    expected_version: int | None
    deadline: float
    by: str
    request_id: str
    client: str = ""
    traceparent: str = ""
    received_at: float = 0.0


class EventOut(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as a reply shows it; `data` is JSON text."""

    type: str
    version: int
    data: str


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done", gc=False):
    """The command is true now and what it wrote is durable.

    Attributes:
        version: of the actor after the command.
        events: what the command appended, none when it was already true.
        partition, position: everything this reply says is in the log up to here.
        replayed: an earlier delivery of the same command did it.
        epoch: of the event at that position.
    """

    version: int
    events: tuple[EventOut, ...]
    partition: int
    position: int
    replayed: bool
    epoch: int = 0

    @property
    def marks(self) -> Marks:
        """How far the log is at least, for a token."""
        return {self.partition: Mark(self.position, self.epoch)}


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused", gc=False):
    """A rule of the domain forbids it; see `actors.errors.Rejected`."""

    code: str
    message: str
    absent: bool


class Mismatch(msgspec.Struct, frozen=True, array_like=True, tag="mismatch", gc=False):
    """The actor is at another version than expected."""

    actual: int


class Reused(msgspec.Struct, frozen=True, array_like=True, tag="reused", gc=False):
    """The command id was used for another command."""


class Invalid(msgspec.Struct, frozen=True, array_like=True, tag="invalid", gc=False):
    """Not a command of this actor, or a field does not fit."""

    message: str


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed", gc=False):
    """The domain code raised; only this command is affected."""

    message: str


class Full(msgspec.Struct, frozen=True, array_like=True, tag="full", gc=False):
    """The queue of the silo is full; nothing was done."""


class NotNow(msgspec.Struct, frozen=True, array_like=True, tag="not-now", gc=False):
    """Nothing was done; the reason may pass. Try again, perhaps at another silo."""

    reason: str


class Later(msgspec.Struct, frozen=True, array_like=True, tag="later", gc=False):
    """The outcome is not there yet, while others of its batch are. It is asked for by the ticket of the batch."""

    ticket: int


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """How commands find their silo: partition mod `silos`. See `StoreInfo` for the others."""

    store_id: UUID
    secret: bytes
    partitions: int
    silos: int


class Takeover(msgspec.Struct, frozen=True, array_like=True):
    """When a silo got its partitions, and why it had to take them, for people.

    Attributes:
        at: Unix time in seconds.
    """

    at: float
    why: str


class SiloStatus(msgspec.Struct, frozen=True, array_like=True):
    """What people want to know of a silo.

    Attributes:
        epochs: partition → ownership generation; empty while it owns nothing.
        own_homes: of those of its actors that have one, by stream.
        queued: unanswered commands.
        started_at: Unix time in seconds.
        takeover: the last one; None before the first.
        trouble: why it takes no commands; None when it does.
        batches: size → how many batches of at most that size, and more than half of it, it has committed.
    """

    name: str
    epochs: dict[int, int]
    activations: int
    own_homes: dict[str, Address]
    queued: int
    started_at: float
    takeover: Takeover | None
    trouble: str | None
    batches: dict[int, int]


Outcome = Done | Refused | Mismatch | Reused | Invalid | Failed | Full | NotNow


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_commands = msgspec.msgpack.Decoder(list[CommandEnvelope])
_outcomes = msgspec.msgpack.Decoder(list[Outcome])
_parts = msgspec.msgpack.Decoder(list[Outcome | Later])


def encode(messages: Sequence[Any]) -> bytes:
    """One blob for a batch of commands or of outcomes."""
    return _encoder.encode(messages)


def decode_commands(blob: bytes) -> list[CommandEnvelope]:
    """The commands of a blob, in order. Raises `msgspec.DecodeError` when it is none."""
    return _commands.decode(blob)


def decode_outcomes(blob: bytes) -> list[Outcome]:
    """The outcomes of a blob, in the order of the commands. Raises `msgspec.DecodeError` when it is none."""
    return _outcomes.decode(blob)


def decode_parts(blob: bytes) -> list[Outcome | Later]:
    """As `decode_outcomes`, of a silo that does not wait for the slowest command."""
    return _parts.decode(blob)
