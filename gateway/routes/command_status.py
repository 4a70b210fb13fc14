"""What happened to a command, from the log: by its id, or by the key it was sent with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter
from pydantic import BaseModel

from actors.domain.domain import Domain
from actors.store.event_store import furthest
from gateway.access.auth import Scope, caller_of
from gateway.http.headers import command_id_of, idempotency_key
from gateway.http.problems import BadRequest
from gateway.http.replies import problems
from gateway.queries.answers import Answers
from gateway.queries.history_event import HistoryEvent, history_event
from gateway.routes.history import HistoryEventReply


class DoneCommand(msgspec.Struct):
    """A command that is in the log.

    Attributes:
        collection: of its actor, as in URLs; None when this release has no such actors.
        command, data: what was asked for. Fields at their default are left out.
        version: of the actor after it.
    """

    command_id: UUID
    actor: str
    collection: str | None
    id: str
    command: str
    data: dict[str, Any]
    version: int
    events: list[HistoryEvent]


class DoneCommandReply(BaseModel):
    """A command that was done, with its events; `data` has no fields at their default."""

    command_id: UUID
    actor: str
    collection: str | None
    id: str
    command: str
    data: dict[str, Any]
    version: int
    events: list[HistoryEventReply]


def command_status_routes(domain: Domain, answers: Answers) -> Sequence[HTTPRouteHandler]:
    """The routes that look commands up. A command that left nothing in the log is not found."""

    async def look_up(request: Request[Any, Any, Any], command_id: UUID) -> Response[DoneCommandReply]:
        known = await answers.known_to(request)
        events = await answers.log.command(command_id)
        if not events:
            raise BadRequest(
                404,
                "command-not-found",
                "it left nothing in the log: it never came, was rejected, was already true, or is still on its way; "
                "to send it again under the same key is safe",
            )
        first, last = events[0], events[-1]
        decider = domain.decider(first.category)
        ((name, data),) = json.loads(first.command or '{"":{}}').items()
        done = DoneCommand(
            command_id=command_id,
            actor=first.category,
            collection=decider.collection if decider is not None else None,
            id=first.key,
            command=name,
            data=data,
            version=last.version,
            events=[history_event(event) for event in events],
        )
        return answers.answer(request, msgspec.json.encode(done), furthest(known, last.marks))

    @get("/v1/commands/{command_id:uuid}", **_documented("command-status", "what happened to a command"))
    async def by_id(request: Request[Any, Any, Any], command_id: FromPath[UUID]) -> Response[DoneCommandReply]:
        return await look_up(request, command_id)

    @get(
        "/v1/commands/by-key",
        **_documented("command-status-by-key", "what happened to a command, by its Idempotency-Key"),
    )
    async def by_key(
        request: Request[Any, Any, Any],
        key: Annotated[str, QueryParameter(max_length=300, description="The Idempotency-Key that it was sent with.")],
        by: Annotated[str | None, QueryParameter(max_length=300, description="Who sent it; else the caller.")] = None,
    ) -> Response[DoneCommandReply]:
        return await look_up(
            request, command_id_of(idempotency_key(key), by or caller_of(request).subject, answers.tokens)
        )

    return [by_id, by_key]


def _documented(operation_id: str, summary: str) -> dict[str, Any]:
    return {
        "opt": {"scope": Scope.QUERIES},
        "operation_id": operation_id,
        "summary": summary,
        "tags": ["commands"],
        "responses": problems(404),
    }
