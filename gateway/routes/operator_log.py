"""What operators do: noted in the log under their name before it is done, so that nothing happens without a trace."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from actors.domain.operator_log import KEY, OPERATOR_LOG, Note
from actors.runtime.client import CommandSender
from actors.store.event_store import furthest, stream_name
from gateway.access.auth import Scope
from gateway.http.origin import origin_of
from gateway.http.replies import problems
from gateway.queries.answers import Answers
from gateway.queries.history_event import history_event
from gateway.routes.history import HistoryPage, HistoryReply

WAIT_S = 5.0
STREAM = stream_name(OPERATOR_LOG.category, KEY)


class OperatorLog:
    """Notes what operators ask for."""

    def __init__(self, sender: CommandSender) -> None:
        self._sender = sender

    async def note(self, request: Request[Any, Any, Any], action: str, target: str) -> None:
        """Write down who asks for what. Raises as `CommandSender.submit`; then it must not be done either."""
        origin = origin_of(request)
        note, deadline = Note(action=action, target=target), origin.received_at + WAIT_S
        await self._sender.submit(origin.envelope(OPERATOR_LOG, KEY, note, deadline=deadline))


def operator_log_route(answers: Answers) -> HTTPRouteHandler:
    """`/v1/admin/operations`."""

    @get(
        "/v1/admin/operations",
        opt={"scope": Scope.ADMIN},
        operation_id="operations",
        summary="what operators asked for, oldest first",
        tags=["operations"],
        responses=problems(),
    )
    async def operations(
        request: Request[Any, Any, Any],
        after_version: Annotated[int, QueryParameter(ge=0, le=2**63 - 1, description="Begin behind this version.")] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many at the most.")] = 50,
    ) -> Response[HistoryReply]:
        known = await answers.known_to(request)
        found = await answers.log.stream(STREAM, after_version=after_version, limit=limit + 1)
        events = found[:limit]
        page = HistoryPage(
            items=[history_event(event) for event in events],
            next_after_version=events[-1].version if len(found) > limit else None,
        )
        return answers.answer(
            request, msgspec.json.encode(page), furthest(known, *(event.marks for event in found[-1:]))
        )

    return operations
