"""An event as people see it: its data, and who caused it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from actors.store.event_store import RecordedEvent


class HistoryEvent(msgspec.Struct):
    """An event as history shows it; its data is the very text that is in the log.

    Attributes:
        by: author of the command that led to it.
        request_id: of the request that carried that command.
    """

    version: int
    type: str
    data: msgspec.Raw
    recorded_at: datetime
    command_id: UUID
    by: str
    request_id: str
    partition: int
    position: int


class Author(msgspec.Struct):
    """What the log knows of where an event came from."""

    by: str = ""
    request_id: str = ""


_authors = msgspec.json.Decoder(Author)


def history_event(event: RecordedEvent) -> HistoryEvent:
    """An event of the log as people see it."""
    author = _authors.decode(event.metadata)
    return HistoryEvent(
        version=event.version,
        type=event.type,
        data=msgspec.Raw(event.data.encode()),
        recorded_at=event.recorded_at,
        command_id=event.command_id,
        by=author.by,
        request_id=author.request_id,
        partition=event.partition,
        position=event.position,
    )
