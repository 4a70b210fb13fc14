"""Answers to queries: never older than the caller's token, with a token of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, TypeVar

from litestar import Request, Response
from litestar.params import QueryParameter
from pydantic import BaseModel, TypeAdapter

from actors.errors import Overloaded
from actors.runtime.client import CommandSender
from actors.store.event_store import Marks, furthest, positions_of, stream_name
from actors.store.token import InvalidToken, TokenCodec
from gateway.http.headers import only, wait_of
from gateway.http.limits import Limits
from gateway.http.problems import BadRequest, NotYetConsistent
from gateway.queries.log_reader import LogReader
from projections.past import Past, row_then
from projections.projection import AnyProjection, Projection
from projections.view_reader import Seen, ViewReader

DEFAULT_WAIT_S = 2.0

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many at the most.")]

_ANY: TypeAdapter[Any] = TypeAdapter(Any)

R = TypeVar("R", bound=BaseModel)
V = TypeVar("V")


class Answers:
    """What all queries have in common.

    Attributes:
        views: answers what is the case now.
        log: answers what was.
    """

    def __init__(self, sender: CommandSender, views: ViewReader, log: LogReader, limits: Limits) -> None:
        self._sender = sender
        self.views = views
        self.log = log
        self._most_waiting = limits.queries
        self._waiting = 0
        self._latest: tuple[Marks, str] | None = None

    async def ask(
        self, request: Request[Any, Any, Any], projection: AnyProjection, query: Callable[[], Awaitable[Seen[V]]]
    ) -> Seen[V]:
        """What a query on a view finds once the view has everything that the caller's `Consistency-Token` names.

        Raises:
            InvalidToken: it is none of this service.
            NotYetConsistent: the view did not get there in time.
            Overloaded: too many queries wait already.
        """
        with self._place():
            known = await self.known_to(request)
            seen = await query()
            if await self._has_all(seen.checkpoint, known):
                return seen
            if await self.views.wait_until(projection, positions_of(known), wait_of(request, DEFAULT_WAIT_S)):
                seen = await query()
                if await self._has_all(seen.checkpoint, known):
                    return seen
            await self.views.connect_anew()
            raise NotYetConsistent

    async def row(
        self, request: Request[Any, Any, Any], projection: Projection[R], key: str, past: Past | None
    ) -> Seen[R | None]:
        """The row of an actor: as its view has it now, or as it was at a moment of the past.

        Raises:
            BadRequest: it has no such version yet.
            InvalidToken, NotYetConsistent, Overloaded: as `ask`; the log always has everything that a token names.
        """
        if past is None:
            return await self.ask(request, projection, partial(self.views.get, projection, key))
        known = await self.known_to(request)
        stream = stream_name(projection.sources[0].category, key)
        then = await row_then(projection, self.log.history(stream), past)
        if then.last is None:
            return Seen(None, known)
        if past.version is not None and past.version > then.last.version:
            raise BadRequest(
                404, "version-not-found", f"{stream} is at version {then.last.version}; ask for that one or an earlier"
            )
        return Seen(then.row, furthest(known, then.last.marks))

    @property
    def tokens(self) -> TokenCodec:
        """Reads and writes tokens. Raises `Unavailable` before the store is known."""
        return self._sender.tokens

    async def known_to(self, request: Request[Any, Any, Any]) -> Marks:
        """What the caller's `Consistency-Token` names; nothing without one.

        Raises:
            InvalidToken: it is none of this service, or of a future that the log has lost.
        """
        token = only(request, "Consistency-Token")
        if token is None:
            return {}
        marks = self.tokens.decode(token)
        if not await self.log.has(marks):
            raise InvalidToken
        return marks

    def answer(
        self,
        request: Request[Any, Any, Any],
        content: BaseModel | Mapping[str, Any] | bytes,
        checkpoint: Marks,
        version: int | None = None,
    ) -> Response[Any]:
        """The response with its token and `ETag`: the actor's version, or else a digest of the content."""
        body = _body(content)
        tag = f'"{version}"' if version is not None else f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = {
            "ETag": tag,
            "Consistency-Token": self._token(checkpoint),
            "Cache-Control": "private, no-store",
            "Vary": "Authorization",
        }
        # Whoever compresses an answer on its way has to make its tag a weak one, so tags are compared as weak ones.
        known = ",".join(request.headers.getall("If-None-Match", [])).split(",")
        if not {tag.removeprefix("W/"), "*"}.isdisjoint(each.strip().removeprefix("W/") for each in known):
            return Response(b"", status_code=304, headers=headers, media_type="application/json")
        return Response(body, media_type="application/json", headers=headers)

    def absent(self, error: BadRequest, checkpoint: Marks) -> BadRequest:
        """`error` with the token of the view in which there is no such thing: it may be there later, never earlier."""
        error.headers = {"Consistency-Token": self._token(checkpoint)}
        return error

    @contextmanager
    def _place(self) -> Iterator[None]:
        """While the block runs there is one more query that waits."""
        if self._waiting >= self._most_waiting:
            raise Overloaded("too many queries are waiting")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _token(self, checkpoint: Marks) -> str:
        # What one statement found has one checkpoint: the very same object in the answers to many queries.
        if self._latest is None or self._latest[0] is not checkpoint:
            self._latest = checkpoint, self.tokens.encode(checkpoint)
        return self._latest[1]

    async def _has_all(self, checkpoint: Marks, known: Marks) -> bool:
        """Whether a view that is at `checkpoint` has everything up to `known`, and not what a restored log has lost."""
        if any(mark.position > checkpoint[partition].position for partition, mark in known.items()):
            return False
        later = {each: checkpoint[each] for each, mark in known.items() if checkpoint[each].epoch != mark.epoch}
        return await self.log.has(later)


def _body(content: BaseModel | Mapping[str, Any] | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    return content.model_dump_json().encode() if isinstance(content, BaseModel) else _ANY.dump_json(content)
