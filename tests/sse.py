"""A follower of the log, as a client would write it, and what it must have seen."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream."""

    id: str
    event: str
    data: dict[str, Any]


async def messages(response: httpx.Response) -> AsyncGenerator[Message]:
    """The messages of a stream of server-sent events."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        if not line and "data" in fields:
            yield Message(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


@dataclass
class Subscriber:
    """Follows the log over many connections, and checks that no event is missing or comes twice.

    Attributes:
        positions: partition → position of the last event seen.
        seen: how many events.
        connections: how many.
    """

    http: httpx.AsyncClient
    positions: dict[int, int] = field(default_factory=dict)
    seen: int = 0
    connections: int = 0
    last_id: str | None = None

    async def follow(self, limit: int, *, begin: str = "start") -> None:
        """Connect, take at most `limit` events, and leave."""
        self.connections += 1
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        async with self.http.stream("GET", "/v1/events", params={"from": begin}, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            async with aclosing(messages(response)) as stream:
                async for message in stream:
                    self._take(message)
                    limit -= 1
                    if not limit:
                        return

    def _take(self, message: Message) -> None:
        partition, position = message.data["partition"], message.data["position"]
        expected = self.positions.get(partition, 0) + 1
        assert position == expected, f"partition {partition}: {position} came instead of {expected}"
        self.positions[partition] = position
        self.seen += 1
        self.last_id = message.id
