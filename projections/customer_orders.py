"""The orders of each customer, newest first."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Literal

import msgspec
from pydantic import BaseModel
from sqlalchemy import BigInteger, Text, bindparam, select, tuple_

from actors.domain.order import (
    ORDER,
    OrderCancelled,
    OrderCreated,
    OrderPlaced,
    OrderShipped,
)
from projections.page import Page, cut, read_cursor
from projections.projection import Index, Projection, Recorded
from projections.query import Query, row_table
from projections.view_reader import Seen, ViewReader, read_rows

# Rows


class OrderSummary(BaseModel):
    """An order in short; its total is the one it was placed at, 0 before."""

    id: str
    customer_id: str
    status: Literal["open", "placed", "shipped", "cancelled"]
    currency: str
    total: int
    ordered_at: datetime


# Folds


def created(_: OrderSummary | None, event: Recorded[OrderCreated]) -> OrderSummary:
    """A new order of a customer."""
    return OrderSummary(
        id=event.key,
        customer_id=event.data.customer_id,
        status="open",
        currency=event.data.currency,
        total=0,
        ordered_at=event.data.ordered_at or event.recorded_at,
    )


def placed(row: OrderSummary | None, event: Recorded[OrderPlaced]) -> OrderSummary | None:
    """Binding, at this total."""
    return row and row.model_copy(update={"status": "placed", "total": event.data.total})


def cancelled(row: OrderSummary | None, _: Recorded[Any]) -> OrderSummary | None:
    """Called off."""
    return row and row.model_copy(update={"status": "cancelled"})


def shipped(row: OrderSummary | None, _: Recorded[Any]) -> OrderSummary | None:
    """On its way."""
    return row and row.model_copy(update={"status": "shipped"})


# Projection

CUSTOMER_ORDERS = Projection(
    name="customer_orders",
    row=OrderSummary,
    key="id",
    sources=(ORDER,),
    on={OrderCreated: created, OrderPlaced: placed, OrderCancelled: cancelled, OrderShipped: shipped},
    indexes=(Index(("customer_id", "ordered_at", "id")),),
)

# Queries


class OrderCursor(msgspec.Struct, frozen=True, array_like=True, tag="orders"):
    """Where a page of orders ended."""

    ordered_at: datetime
    id: str


async def orders_of(
    reader: ViewReader, customer_id: str, *, limit: int, cursor: str | None
) -> Seen[Page[OrderSummary]]:
    """The orders of one customer, newest first.

    Raises:
        InvalidCursor: `cursor` is none.
        ViewsUnavailable: as `ViewReader.get`.
    """
    arguments: dict[str, object] = {"customer_id": customer_id, "limit": limit + 1}
    if cursor is not None:
        after = read_cursor(cursor, OrderCursor)
        arguments |= {"after_time": after.ordered_at, "after_id": after.id}
    seen = await reader.select(CUSTOMER_ORDERS, _orders_of(cursor is not None), **arguments)
    page = cut(read_rows(CUSTOMER_ORDERS, seen.value), limit, lambda row: OrderCursor(row.ordered_at, row.id))
    return Seen(page, seen.checkpoint)


@cache
def _orders_of(go_on: bool) -> Query:
    rows = row_table(CUSTOMER_ORDERS).table
    order = [rows.c.ordered_at.desc(), rows.c.id.desc()]
    query = (
        select(rows)
        .where(rows.c.customer_id == bindparam("customer_id", type_=Text()))
        .order_by(*order)
        .limit(bindparam("limit", type_=BigInteger()))
    )
    if go_on:
        after = tuple_(bindparam("after_time", type_=rows.c.ordered_at.type), bindparam("after_id", type_=Text()))
        query = query.where(tuple_(rows.c.ordered_at, rows.c.id) < after)
    return Query(query, *order)
