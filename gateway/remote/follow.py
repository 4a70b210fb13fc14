"""Following the log of a service over HTTP: every event once, through every loss of the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.remote.connection import problem

PAUSE_S = 1.0
# The service sends a heartbeat every ten seconds.
SILENCE_S = 30.0
_LATER = {429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the stream.

    Attributes:
        id: go on behind it with this.
        data: the event as in history, and whose it is.
    """

    id: str
    data: dict[str, Any]


async def follow(
    http: httpx.AsyncClient, *, begin: str, types: Sequence[str] = (), last_id: str | None = None
) -> AsyncGenerator[Message]:
    """All events from a place on, for ever.

    Args:
        begin: `start` or `now`; where there is a `last_id`, behind that.
        types: of events that are wanted; all when empty.

    Raises:
        CommandLineError: the service refuses.
    """
    while True:
        try:
            async with aclosing(_connection(http, begin, types, last_id)) as stream:
                async for fields in stream:
                    last_id = fields.get("id", last_id)
                    if "data" in fields and last_id is not None:
                        yield Message(last_id, json.loads(fields["data"]))
        except httpx.TransportError:
            pass
        await asyncio.sleep(PAUSE_S)


async def _connection(
    http: httpx.AsyncClient, begin: str, types: Sequence[str], last_id: str | None
) -> AsyncGenerator[dict[str, str]]:
    """The messages of one connection, as their fields."""
    headers = {"Accept": "text/event-stream"} | ({} if last_id is None else {"Last-Event-ID": last_id})
    params = {"from": begin, "type": list(types)}
    timeout = httpx.Timeout(5.0, read=SILENCE_S)
    async with http.stream("GET", "/v1/events", params=params, headers=headers, timeout=timeout) as response:
        if response.status_code in _LATER:
            return
        if not response.is_success:
            await response.aread()
            raise problem(response)
        # Where this one began, in case that it ends before the first event.
        fields = {"id": response.headers["Last-Event-ID"]}
        yield fields
        async for line in response.aiter_lines():
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            elif not line:
                yield fields
                fields = {}
