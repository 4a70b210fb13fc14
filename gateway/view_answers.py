"""Answers from views: never older than the caller's token, with a token of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response
from pydantic import BaseModel, TypeAdapter

from actors.runtime.client import CommandSender
from actors.store.event_store import Marks, positions_of
from gateway.headers import wait_of
from gateway.problems import NotYetConsistent
from projections.projection import AnyProjection
from projections.views import ViewReader

DEFAULT_WAIT_S = 2.0

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


class ViewAnswers:
    """What all routes on views have in common."""

    def __init__(self, sender: CommandSender, reader: ViewReader) -> None:
        self._sender = sender
        self.reader = reader

    async def catch_up(self, request: Request[Any, Any, Any], projection: AnyProjection) -> None:
        """Wait until the view has everything that the caller's `Consistency-Token` names.

        Raises:
            InvalidToken: it is none of this service.
            NotYetConsistent: the view did not get there in time.
        """
        token = request.headers.get("Consistency-Token")
        if token is None:
            return
        positions = positions_of(self._sender.tokens.decode(token))
        if not await self.reader.wait_until(projection, positions, wait_of(request, DEFAULT_WAIT_S)):
            raise NotYetConsistent

    def answer(
        self,
        request: Request[Any, Any, Any],
        content: BaseModel | Mapping[str, Any],
        checkpoint: Marks,
        version: int | None = None,
    ) -> Response[Any]:
        """The response with its token and `ETag`: the actor's version, or else a digest of the content."""
        body = content.model_dump_json().encode() if isinstance(content, BaseModel) else _ANY.dump_json(content)
        tag = f'"{version}"' if version is not None else f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = {
            "ETag": tag,
            "Consistency-Token": self._sender.tokens.encode(checkpoint),
            "Cache-Control": "private, no-cache",
            "Vary": "Authorization",
        }
        known = [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]
        if tag in known or "*" in known:
            return Response(b"", status_code=304, headers=headers, media_type="application/json")
        return Response(body, media_type="application/json", headers=headers)
