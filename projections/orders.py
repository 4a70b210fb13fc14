"""Orders in detail: lines, total, status."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from actors.domain.order import (
    ORDER,
    OrderCancelled,
    OrderCreated,
    OrderLineAdded,
    OrderLineRemoved,
    OrderPlaced,
    OrderShipped,
)
from projections.projection import Projection, Recorded

# Rows


class OrderLine(BaseModel):
    """So many of a thing, at a price."""

    sku: str
    quantity: int
    unit_price: int


class OrderRow(BaseModel):
    """An order."""

    id: str
    customer_id: str
    status: Literal["open", "placed", "shipped", "cancelled"]
    currency: str
    lines: tuple[OrderLine, ...]
    total: int
    ordered_at: datetime
    version: int


# Folds


def created(_: OrderRow | None, event: Recorded[OrderCreated]) -> OrderRow:
    """A new order."""
    return OrderRow(
        id=event.key,
        customer_id=event.data.customer_id,
        status="open",
        currency=event.data.currency,
        lines=(),
        total=0,
        ordered_at=event.data.ordered_at or event.recorded_at,
        version=event.version,
    )


def line_added(row: OrderRow | None, event: Recorded[OrderLineAdded]) -> OrderRow | None:
    """More of a thing; the first of it goes to the end."""
    if row is None:
        return None
    added = event.data
    lines = {line.sku: line for line in row.lines}
    quantity = added.quantity + (lines[added.sku].quantity if added.sku in lines else 0)
    lines[added.sku] = OrderLine(sku=added.sku, quantity=quantity, unit_price=added.unit_price)
    return _with_lines(row, event, tuple(lines.values()))


def line_removed(row: OrderRow | None, event: Recorded[OrderLineRemoved]) -> OrderRow | None:
    """A thing less."""
    return row and _with_lines(row, event, tuple(line for line in row.lines if line.sku != event.data.sku))


def placed(row: OrderRow | None, event: Recorded[OrderPlaced]) -> OrderRow | None:
    """Binding."""
    return row and _changed(row, event, status="placed", total=event.data.total)


def cancelled(row: OrderRow | None, event: Recorded[OrderCancelled]) -> OrderRow | None:
    """Called off."""
    return row and _changed(row, event, status="cancelled")


def shipped(row: OrderRow | None, event: Recorded[OrderShipped]) -> OrderRow | None:
    """On its way."""
    return row and _changed(row, event, status="shipped")


def _with_lines(row: OrderRow, event: Recorded[Any], lines: tuple[OrderLine, ...]) -> OrderRow:
    return _changed(row, event, lines=lines, total=sum(line.quantity * line.unit_price for line in lines))


def _changed(row: OrderRow, event: Recorded[Any], **fields: object) -> OrderRow:
    return row.model_copy(update={**fields, "version": event.version})


# Projection

ORDERS = Projection(
    name="orders",
    row=OrderRow,
    key="id",
    sources=(ORDER,),
    on={
        OrderCreated: created,
        OrderLineAdded: line_added,
        OrderLineRemoved: line_removed,
        OrderPlaced: placed,
        OrderCancelled: cancelled,
        OrderShipped: shipped,
    },
)
