"""What happened to an actor, from the log: the same for every kind of actor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter
from pydantic import BaseModel

from actors.domain.decider import AnyDecider
from actors.domain.domain import Domain
from actors.store.event_store import furthest, stream_name
from gateway.access.auth import Scope
from gateway.http.problems import BadRequest, not_found
from gateway.http.replies import problems
from gateway.queries.answers import Answers, Limit
from gateway.queries.history_event import HistoryEvent, history_event
from gateway.routes.commands import checked_key

AfterVersion = Annotated[int, QueryParameter(ge=0, le=2**63 - 1, description="Begin after this version.")]


class HistoryPage(msgspec.Struct):
    """Some events of an actor; `next_after_version` leads to those after them."""

    items: list[HistoryEvent]
    next_after_version: int | None


class HistoryEventReply(BaseModel):
    """An event that happened to an actor, and who caused it."""

    version: int
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    command_id: UUID
    by: str
    request_id: str
    partition: int
    position: int


class HistoryReply(BaseModel):
    """Some events of an actor, oldest first; `next_after_version` leads to those after them."""

    items: list[HistoryEventReply]
    next_after_version: int | None


def history_routes(domain: Domain, answers: Answers) -> Sequence[HTTPRouteHandler]:
    """A route for each kind of actor."""
    return [_route(decider, answers) for decider in domain.deciders]


def _route(decider: AnyDecider, answers: Answers) -> HTTPRouteHandler:
    @get(
        f"/v1/{decider.collection}/{{actor_id:str}}/history",
        opt={"scope": Scope.QUERIES},
        operation_id=f"{decider.category}-history",
        summary=f"what happened ({decider.category})",
        tags=[decider.collection],
        responses=problems(404),
    )
    async def history(
        request: Request[Any, Any, Any],
        actor_id: FromPath[str],
        after_version: AfterVersion = 0,
        limit: Limit = 50,
    ) -> Response[HistoryReply]:
        stream = stream_name(decider.category, checked_key(actor_id))
        absent = not_found(decider.category, actor_id)
        return await answer_with_history(request, answers, stream, after_version, limit, absent)

    return history


async def answer_with_history(
    request: Request[Any, Any, Any],
    answers: Answers,
    stream: str,
    after_version: int,
    limit: int,
    absent: BadRequest | None = None,
) -> Response[HistoryReply]:
    """The answer with some events of a stream.

    Args:
        absent: raised when the stream has no events at all; None = then it is an empty page.
    """
    known = await answers.known_to(request)
    found = await answers.log.stream(stream, after_version=after_version, limit=limit + 1)
    if absent and not found and not await answers.log.stream(stream, after_version=0, limit=1):
        raise absent
    events = found[:limit]
    page = HistoryPage(
        items=[history_event(event) for event in events],
        next_after_version=events[-1].version if len(found) > limit else None,
    )
    return answers.answer(request, msgspec.json.encode(page), furthest(known, *(event.marks for event in found[-1:])))
