"""The log as server-sent events: everything from some place on, without a gap or a repeat, for as long as one likes.

Every message has an id that says how far the follower is then, in each partition; `Last-Event-ID` goes on there. A
follower first reads the log by itself, until the tail has everything that is still missing, and then only waits. One
that is slower than the tail reads by itself again: nothing waits for it in memory. One that takes nothing is cut off.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as AsgiScope

from actors.domain.domain import Domain
from actors.store.event_store import Mark, Marks, StoreUnavailable
from actors.store.token import InvalidToken, TokenCodec
from gateway.access.auth import Scope, caller_of
from gateway.access.token_verifier import Caller
from gateway.http.headers import only
from gateway.http.pieces import send_pieces
from gateway.http.problems import invalid
from gateway.http.replies import problems
from gateway.queries.answers import Answers
from gateway.queries.frame import Frame
from gateway.queries.log_reader import LogReader, LostFuture
from gateway.queries.tail import Tail

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 10.0
RETRY_MS = 1_000
# Of each partition, and of the tail.
CATCH_UP_BATCH = 16
LIVE_BATCH = 128
POLL_S = 1.0

# No empty line behind these: some clients take each for the end of an event.
_HEARTBEAT = b":\n"
_RETRY = b"retry: %d\n" % RETRY_MS
_HEADERS = [
    (b"content-type", f"{MEDIA_TYPE}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


def stream_route(domain: Domain, answers: Answers, tail: Tail) -> HTTPRouteHandler:
    """The route on which the log is followed."""
    categories = frozenset(decider.category for decider in domain.deciders)
    known_types = {name for decider in domain.deciders for name in decider.readings}

    @get(
        "/v1/events",
        opt={"scope": Scope.QUERIES},
        operation_id="events",
        summary="all events, as they come",
        tags=["events"],
        media_type=MEDIA_TYPE,
        responses={
            200: ResponseSpec(data_container=str, description="Server-sent events.", media_type=MEDIA_TYPE),
            **problems(),
        },
    )
    async def events(
        request: Request[Any, Any, Any],
        from_: Annotated[Literal["start", "now"], QueryParameter(name="from", description="Where to begin.")] = "now",
        type_: Annotated[
            list[str] | None, QueryParameter(name="type", description="Only events that are stored under these types.")
        ] = None,
    ) -> ASGIApp:
        unknown = sorted(set(type_ or ()) - known_types)
        if unknown:
            there = ", ".join(sorted(known_types))
            raise invalid(f"there is no event type {', '.join(unknown)}; there are {there}", "/type")
        caller = caller_of(request)
        await tail.begin(caller.subject)
        after = await _beginning(only(request, "Last-Event-ID"), from_, answers)
        wanted = Wanted(categories, frozenset(type_ or ()))
        follower = Follower(answers.log, tail, answers.tokens, after, wanted, caller)
        return send_all(follower.chunks(), answers.tokens.encode(after))

    return events


async def _beginning(last_event_id: str | None, from_: str, answers: Answers) -> Marks:
    """Where a follower begins: in each partition, after which event.

    Raises:
        InvalidToken: the id is none of this service, or of a future that the log has lost.
    """
    heads = await answers.log.heads()
    if last_event_id is None and from_ == "now":
        return heads
    known = {} if last_event_id is None else answers.tokens.decode(last_event_id)
    if not await answers.log.has(known):
        raise InvalidToken
    return {partition: known.get(partition, Mark(0, 0)) for partition in heads}


class Wanted(NamedTuple):
    """Which events a follower is sent: those of some kinds of actors, all of them or only some types."""

    categories: frozenset[str]
    types: frozenset[str]

    def has(self, frame: Frame) -> bool:
        """Whether it is one of them."""
        return frame.category in self.categories and (not self.types or frame.type in self.types)


class Follower:
    """One who follows the log.

    Args:
        after: begins after these, in each partition.
        wanted: what to send.
        caller: who follows; when the token ends, so does this.
    """

    def __init__(
        self, log: LogReader, tail: Tail, tokens: TokenCodec, after: Marks, wanted: Wanted, caller: Caller
    ) -> None:
        self._log = log
        self._tail = tail
        self._tokens = tokens
        self._after = after
        self._wanted = wanted
        self._caller = caller
        self._generation = tail.generation
        self._seen: int | None = None

    async def chunks(self) -> AsyncGenerator[bytes]:
        """What to send, one message or several at a time; ends when the follower must come again."""
        yield _RETRY
        silent_until = _next_heartbeat()
        with self._tail.followed(self._caller.subject):
            while self._may_go_on():
                try:
                    chunk = await self._next()
                except LostFuture:
                    return
                if not chunk and time.monotonic() >= silent_until:
                    chunk = _HEARTBEAT
                if chunk:
                    yield chunk
                    silent_until = _next_heartbeat()
                elif chunk is None:
                    await self._tail.moves(max(0.0, min(self._patience_s(), silent_until - time.monotonic())))

    def _patience_s(self) -> float:
        """How long nothing has to be looked at unless the tail moves; who could not catch up tries again soon."""
        return POLL_S if self._seen is None else self._caller.expires_at - time.time()

    def _may_go_on(self) -> bool:
        return self._generation == self._tail.generation and time.time() < self._caller.expires_at

    async def _next(self) -> bytes | None:
        """What comes next, as far as it is wanted; None when there is nothing new."""
        live = None if self._seen is None else self._tail.since(self._seen, LIVE_BATCH)
        if self._seen is None or live is None:
            return await self._catch_up()
        self._seen += len(live)
        self._after = {**self._after, **{frame.partition: frame.mark for frame, _ in live}}
        return b"".join(text for frame, text in live if self._wanted.has(frame)) if live else None

    async def _catch_up(self) -> bytes | None:
        frames: Sequence[Frame]
        if self._tail.covers(self._after):
            frames, self._seen = self._tail.behind(self._after), self._tail.end
        else:
            try:
                self._seen = None
                frames = [Frame.of(event) for event in await self._log.behind(self._after, limit=CATCH_UP_BATCH)]
            except StoreUnavailable:
                return None
        return self._written(frames) if frames else None

    def _written(self, frames: Sequence[Frame]) -> bytes:
        """Those that are wanted, each with an id for where this follower is then."""
        written = []
        for frame in frames:
            self._after = {**self._after, frame.partition: frame.mark}
            if self._wanted.has(frame):
                written.append(frame.under(self._tokens.encode(self._after)))
        return b"".join(written)


def _next_heartbeat() -> float:
    """Not the same for all: thousands that came together would all be sent theirs in one moment, and others wait."""
    return time.monotonic() + HEARTBEAT_S * random.uniform(0.7, 1.0)  # noqa: S311 - no secret


def send_all(chunks: AsyncGenerator[bytes], last_id: str) -> ASGIApp:
    """The chunks as an app of their own: a stream of the framework waits for ever for a caller who takes nothing."""

    async def app(_: AsgiScope, receive: Receive, send: Send) -> None:
        # For a caller who loses the connection before the first event.
        headers = [*_HEADERS, (b"last-event-id", last_id.encode())]
        sending = asyncio.get_running_loop().create_task(send_pieces(chunks, headers, send))
        leaving = asyncio.get_running_loop().create_task(_left(receive))
        try:
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            sending.cancel()
            with suppress(asyncio.CancelledError, TimeoutError):
                await sending

    return app


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
