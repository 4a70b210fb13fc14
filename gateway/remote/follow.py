"""Following the log of a service over HTTP: every event once, through every loss of the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.remote.connection import problem

# Between two connections.
PAUSE_S = 0.5
# The service says at least every ten seconds that it is there.
SILENCE_S = 25.0
LATER = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class FollowedEvent:
    """An event of the log.

    Attributes:
        id: the place after it, from which one can go on.
        type: its name in the log.
        data: the event as in history, and whose it is.
    """

    id: str
    type: str
    data: Mapping[str, Any]


async def follow(
    http: httpx.AsyncClient, *, begin: str, types: Sequence[str] = (), last_id: str | None = None
) -> AsyncGenerator[FollowedEvent]:
    """All events from a place on, for ever.

    Args:
        begin: `start` or `now`; where there is a `last_id`, after that.
        types: of events that are wanted; all when empty.

    Raises:
        CommandLineError: the service refuses.
    """
    while True:
        try:
            async with aclosing(_connection(http, begin, types, last_id)) as stream:
                async for place, event in stream:
                    last_id = place
                    if event is not None:
                        yield event
        except httpx.TransportError:
            pass
        await asyncio.sleep(PAUSE_S)


async def _connection(
    http: httpx.AsyncClient, begin: str, types: Sequence[str], last_id: str | None
) -> AsyncGenerator[tuple[str, FollowedEvent | None]]:
    headers = {"Accept": "text/event-stream"} | ({} if last_id is None else {"Last-Event-ID": last_id})
    params = {"from": begin, "type": list(types)}
    timeout = httpx.Timeout(5.0, read=SILENCE_S)
    async with http.stream("GET", "/v1/events", params=params, headers=headers, timeout=timeout) as response:
        if response.status_code in LATER:
            return
        if not response.is_success:
            await response.aread()
            raise problem(response)
        async with aclosing(places(response)) as stream:
            async for place in stream:
                yield place


async def places(response: httpx.Response) -> AsyncGenerator[tuple[str, FollowedEvent | None]]:
    """Where an answer of `/v1/events` has come to: the id to go on from, and the event that led there, if one did.

    The first is where it began, in case that the connection is lost before the first event.
    """
    if (began := response.headers.get("Last-Event-ID")) is not None:
        yield began, None
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif not line and "id" in fields:
            known = "data" in fields and "event" in fields
            event = FollowedEvent(fields["id"], fields["event"], json.loads(fields["data"])) if known else None
            yield fields["id"], event
            fields = {}
