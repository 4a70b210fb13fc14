"""Where a command came from, as the log will show it: from the verified token and the request, never from a body."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection

from actors.domain.decider import AnyDecider, Command
from actors.domain.json_text import to_short_json
from actors.runtime.command_id import new_command_id
from actors.runtime.wire import CommandEnvelope
from gateway.access.auth import caller_of
from gateway.http.request_id import request_id_of

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of a command that its sender does not choose; see `CommandEnvelope`."""

    by: str
    client: str
    request_id: str
    traceparent: str
    received_at: float

    def envelope(
        self,
        decider: AnyDecider,
        key: str,
        command: Command,
        *,
        deadline: float,
        command_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> CommandEnvelope:
        """A command from here to an actor; `command_id` is made when it is None."""
        return CommandEnvelope(
            category=decider.category,
            key=key,
            command=decider.name_of(command),
            data=to_short_json(command),
            command_id=command_id or new_command_id(),
            expected_version=expected_version,
            deadline=deadline,
            by=self.by,
            request_id=self.request_id,
            client=self.client,
            traceparent=self.traceparent,
            received_at=round(self.received_at, 3),
        )


def origin_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Origin:
    """Where the commands of a request come from."""
    caller = caller_of(connection)
    trace = connection.headers.get("traceparent", "")
    return Origin(
        by=caller.subject,
        client=caller.client,
        request_id=request_id_of(connection),
        traceparent=trace if _TRACEPARENT.fullmatch(trace) else "",
        received_at=time.time(),
    )
