"""Queries about orders and sales."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter
from pydantic import BaseModel

from gateway.access.auth import Scope
from gateway.http.problems import not_found
from gateway.http.replies import problems
from gateway.queries.answers import Answers
from gateway.queries.as_of import AsOf, AsOfVersion, past_of
from gateway.routes.commands import checked_key
from projections.orders import ORDERS, OrderRow
from projections.sales import SALES, SalesOfPeriod, sales_by


class Sales(BaseModel):
    """Placed orders that were not cancelled, by period and currency."""

    items: list[SalesOfPeriod]


def order_routes(answers: Answers) -> Sequence[HTTPRouteHandler]:
    """The routes that the view `orders` answers."""

    @get(
        "/v1/orders/{actor_id:str}",
        opt={"scope": Scope.QUERIES, "direct": True},
        operation_id="order",
        summary="one order",
        tags=["orders"],
        responses=problems(404),
    )
    async def order(
        request: Request[Any, Any, Any],
        actor_id: FromPath[str],
        as_of_version: AsOfVersion = None,
        as_of: AsOf = None,
    ) -> Response[OrderRow]:
        key = checked_key(actor_id)
        seen = await answers.row(request, ORDERS, key, past_of(as_of_version, as_of))
        if seen.value is None:
            raise answers.absent(not_found("order", key), seen.checkpoint)
        return answers.answer(request, seen.value, seen.checkpoint, seen.value.version)

    return [order]


def sales_routes(answers: Answers) -> Sequence[HTTPRouteHandler]:
    """The routes that the view `sales` answers."""

    @get(
        "/v1/statistics/sales",
        opt={"scope": Scope.QUERIES},
        operation_id="sales",
        summary="orders and totals by day or month",
        tags=["statistics"],
        responses=problems(),
    )
    async def sales(
        request: Request[Any, Any, Any],
        by: FromQuery[Literal["day", "month"]] = "day",
        from_: Annotated[date | None, QueryParameter(name="from", description="The first day.")] = None,
        to: Annotated[date | None, QueryParameter(description="The last day.")] = None,
    ) -> Response[Sales]:
        seen = await answers.ask(request, SALES, partial(sales_by, answers.views, by, first=from_, last=to))
        return answers.answer(request, Sales(items=seen.value), seen.checkpoint)

    return [sales]
