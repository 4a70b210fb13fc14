"""What an audit can find."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from actors.store.event_store import RecordedEvent


class Finding(NamedTuple):
    """A row of the log that breaks a promise, and how.

    Attributes:
        promise: `gapless`, `ordered`, `fenced`, `once` or `legal`; see `checks`.
        what: one sentence for people.
    """

    promise: str
    partition: int
    position: int
    stream: str
    version: int
    command_id: UUID
    what: str


def found(promise: str, event: RecordedEvent, what: str) -> Finding:
    """A finding at one event."""
    return Finding(promise, event.partition, event.position, event.stream, event.version, event.command_id, what)
