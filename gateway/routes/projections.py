"""What operators see of projections, and do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, PathParameter, QueryParameter

from gateway.access.auth import Scope
from gateway.http.replies import problems
from gateway.routes.operator_log import OperatorLog
from projections.parking import Decided, ParkedEvent
from projections.status import ProjectionStatus
from projections.steering import Decision, Order, Steering

_ORDERS: dict[Order, str] = {
    "rebuild": "build a new version beside the served one, and swap it in when it has the same rows",
    "accept": "swap the new version in although its rows differ from the served ones",
    "take-back": "give a rebuild up, or return to the version that was served before it",
    "drop-kept": "drop the version that was served before",
    "pause": "stand still, also after a restart",
    "resume": "go on",
}
_DECISIONS: dict[Decision, str] = {
    "park": "set the event aside at which the projection stands; later ones of its row wait behind it",
    "retry": "fold what is parked of the event's row, in order; or try the event again at which the projection stands",
    "skip": "leave the event out for ever, and fold what waits behind it",
}

ParkedId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


class ProjectionList(msgspec.Struct):
    """All projections of the domain."""

    items: list[ProjectionStatus]


class ParkedList(msgspec.Struct):
    """The events that a projection has not folded, the oldest first."""

    items: list[ParkedEvent]


def projection_routes(steering: Steering, operators: OperatorLog) -> Sequence[HTTPRouteHandler]:
    """`/v1/admin/projections` and below."""

    @get("/v1/admin/projections", **_documented("projections", "what projections do"))
    async def projections() -> ProjectionList:
        return ProjectionList(list(await steering.statuses()))

    @get("/v1/admin/projections/{name:str}", **_documented("projection", "what one projection does", 404))
    async def projection(name: FromPath[str]) -> ProjectionStatus:
        return await steering.status(name)

    @get("/v1/admin/projections/{name:str}/parked", **_documented("parked", "events that are not folded", 404))
    async def parked(name: FromPath[str], limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200) -> ParkedList:
        return ParkedList(list(await steering.parked(name, limit)))

    return [
        projections,
        projection,
        parked,
        *(_order_route(steering, operators, order) for order in _ORDERS),
        *(_decision_route(steering, operators, decision) for decision in _DECISIONS),
    ]


def _order_route(steering: Steering, operators: OperatorLog, order: Order) -> HTTPRouteHandler:
    @post(
        f"/v1/admin/projections/{{name:str}}/{order}", status_code=200, **_documented(order, _ORDERS[order], 404, 409)
    )
    async def do(request: Request[Any, Any, Any], name: FromPath[str]) -> ProjectionStatus:
        await steering.status(name)
        await operators.note(request, order, f"projection/{name}")
        return await steering.order(name, order)

    return do


def _decision_route(steering: Steering, operators: OperatorLog, decision: Decision) -> HTTPRouteHandler:
    path = f"/v1/admin/projections/{{name:str}}/parked/{{parked_id:int}}/{decision}"

    @post(path, status_code=200, **_documented(f"{decision}-event", _DECISIONS[decision], 404, 409))
    async def decide(request: Request[Any, Any, Any], name: FromPath[str], parked_id: ParkedId) -> Decided:
        await steering.status(name)
        await operators.note(request, decision, f"projection/{name}/{parked_id}")
        return await steering.decide(name, parked_id, decision)

    return decide


def _documented(operation_id: str, summary: str, *statuses: int) -> dict[str, Any]:
    return {
        "opt": {"scope": Scope.ADMIN},
        "operation_id": operation_id,
        "summary": summary,
        "tags": ["operations"],
        "responses": problems(*statuses),
    }
