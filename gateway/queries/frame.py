"""An event as followers of the log are sent it: a message of a server-sent events stream."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from actors.store.event_store import Mark, RecordedEvent
from gateway.queries.history_event import HistoryEvent, history_event

_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class FollowedEvent(HistoryEvent):
    """An event as in history, and whose it is."""

    actor: str
    actor_id: str


class Frame(NamedTuple):
    """An event ready to be sent, but for the id, which says how far the follower is then."""

    partition: int
    mark: Mark
    category: str
    type: str
    lines: bytes

    @classmethod
    def of(cls, event: RecordedEvent) -> Frame:
        """From the log."""
        shown = msgspec.structs.asdict(history_event(event))
        followed = FollowedEvent(**shown, actor=event.category, actor_id=event.key)
        # Text of the log is JSON, in which line ends stand between values only.
        data = msgspec.json.encode(followed).translate(_LINE_ENDS)
        lines = b"event: %b\ndata: %b\n\n" % (event.type.encode(), data)
        return cls(event.partition, Mark(event.position, event.epoch), event.category, event.type, lines)

    def under(self, token: str) -> bytes:
        """The whole message."""
        return b"id: %b\n%b" % (token.encode(), self.lines)
