"""Queries about customers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter
from pydantic import BaseModel, TypeAdapter

from gateway.access.auth import Scope
from gateway.http.problems import not_found
from gateway.http.replies import problems
from gateway.queries.answers import Answers, Limit
from gateway.queries.as_of import AsOf, AsOfVersion, past_of
from gateway.routes.commands import checked_key
from projections.customer_orders import CUSTOMER_ORDERS, OrderSummary, orders_of
from projections.customers import CUSTOMERS, Customer, Sort, Status, count_customers, find_customers

_ORDERS_OF_GUESTS = (
    "Orders name a customer, registered or not, and are found in either case. "
    "An unknown customer without orders is a problem, `customer-not-found`."
)

# Of a row, it shows what is no mere means of finding it.
_CUSTOMER = TypeAdapter(Customer)


class CustomerPage(BaseModel):
    """Some customers; `next_cursor` leads to those after them."""

    items: list[Customer]
    next_cursor: str | None


class OrderPage(BaseModel):
    """Some orders, newest first; `next_cursor` leads to older ones."""

    items: list[OrderSummary]
    next_cursor: str | None


class CustomerCounts(BaseModel):
    """How many customers have which status."""

    active: int
    inactive: int


def customer_routes(answers: Answers) -> Sequence[HTTPRouteHandler]:
    """The routes that the view `customers` answers."""

    @get("/v1/customers/{actor_id:str}", **_documented("customer", "one customer", 404, direct=True))
    async def customer(
        request: Request[Any, Any, Any],
        actor_id: FromPath[str],
        as_of_version: AsOfVersion = None,
        as_of: AsOf = None,
    ) -> Response[Customer]:
        key = checked_key(actor_id)
        seen = await answers.row(request, CUSTOMERS, key, past_of(as_of_version, as_of))
        if seen.value is None:
            raise answers.absent(not_found("customer", key), seen.checkpoint)
        return answers.answer(request, _CUSTOMER.dump_json(seen.value), seen.checkpoint, seen.value.version)

    @get("/v1/customers", **_documented("customers", "customers by name, address or status"))
    async def customers(
        request: Request[Any, Any, Any],
        status: FromQuery[Status | None] = None,
        search: Annotated[str | None, QueryParameter(max_length=200)] = None,
        sort: FromQuery[Sort] = "name",
        limit: Limit = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Response[CustomerPage]:
        find = partial(find_customers, status=status, search=search, sort=sort, limit=limit, cursor=cursor)
        seen = await answers.ask(request, CUSTOMERS, partial(find, answers.views))
        page = CustomerPage(items=list(seen.value.items), next_cursor=seen.value.next_cursor)
        return answers.answer(request, page, seen.checkpoint)

    @get("/v1/statistics/customers", **_documented("customer-statistics", "how many customers there are"))
    async def counts(request: Request[Any, Any, Any]) -> Response[CustomerCounts]:
        seen = await answers.ask(request, CUSTOMERS, partial(count_customers, answers.views))
        return answers.answer(request, CustomerCounts(**seen.value), seen.checkpoint)

    return [customer, customers, counts]


def customer_order_routes(answers: Answers) -> Sequence[HTTPRouteHandler]:
    """The routes that the view `customer_orders` answers."""

    @get(
        "/v1/customers/{actor_id:str}/orders",
        description=_ORDERS_OF_GUESTS,
        **_documented("customer-orders", "the orders of one customer", 404),
    )
    async def orders(
        request: Request[Any, Any, Any],
        actor_id: FromPath[str],
        limit: Limit = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Response[OrderPage]:
        key = checked_key(actor_id)
        find = partial(orders_of, answers.views, key, limit=limit, cursor=cursor)
        seen = await answers.ask(request, CUSTOMER_ORDERS, find)
        page, checkpoint = OrderPage(items=list(seen.value.items), next_cursor=seen.value.next_cursor), seen.checkpoint
        if not page.items and cursor is None and answers.views.serves(CUSTOMERS):
            known = await answers.row(request, CUSTOMERS, key, None)
            # Neither view may be behind what the answer names.
            checkpoint = {each: min(mark, known.checkpoint[each]) for each, mark in checkpoint.items()}
            if known.value is None:
                raise answers.absent(not_found("customer", key), checkpoint)
        return answers.answer(request, page, checkpoint)

    return [orders]


def _documented(operation_id: str, summary: str, *statuses: int, direct: bool = False) -> dict[str, Any]:
    return {
        "opt": {"scope": Scope.QUERIES, "direct": direct},
        "operation_id": operation_id,
        "summary": summary,
        "tags": ["customers"],
        "responses": problems(*statuses),
    }
