"""What operators do: noted in the log under their name before it is done, so that nothing happens without a trace."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from actors.domain.operator_log import KEY, OPERATOR_LOG, Note
from actors.runtime.client import CommandSender
from actors.store.event_store import stream_name
from gateway.access.auth import Scope
from gateway.http.origin import origin_of
from gateway.http.replies import problems
from gateway.queries.answers import Answers, Limit
from gateway.routes.history import AfterVersion, HistoryReply, answer_with_history

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
        after_version: AfterVersion = 0,
        limit: Limit = 50,
    ) -> Response[HistoryReply]:
        return await answer_with_history(request, answers, STREAM, after_version, limit)

    return operations
