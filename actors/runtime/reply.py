"""What a command led to, as JSON: the same over HTTP and from a Ray actor."""

from __future__ import annotations

from uuid import UUID

import msgspec

from actors.runtime.client import CommandSender
from actors.runtime.wire import CommandEnvelope, Done


class EventReply(msgspec.Struct):
    """An event in a reply; its data is the very text that is in the log."""

    type: str
    version: int
    data: msgspec.Raw


class Reply(msgspec.Struct):
    """What a command led to."""

    id: str
    version: int
    events: list[EventReply]
    command_id: UUID
    replayed: bool
    token: str


def reply_to(envelope: CommandEnvelope, done: Done, sender: CommandSender) -> Reply:
    """The reply for a command that is done."""
    return Reply(
        id=envelope.key,
        version=done.version,
        events=[EventReply(event.type, event.version, msgspec.Raw(event.data.encode())) for event in done.events],
        command_id=envelope.command_id,
        replayed=done.replayed,
        token=sender.tokens.encode(done.marks),
    )
