"""Sales: how many orders were placed and at what total, by day or month and currency. Cancelled ones do not count."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import Date, Text, bindparam, func, literal_column, select
from sqlalchemy.sql.expression import ColumnElement

from actors.domain.order import ORDER, OrderCancelled, OrderCreated, OrderPlaced
from projections.projection import Projection, Recorded, Tally
from projections.query import Query, tally_table
from projections.view_reader import Seen, ViewReader

# Rows


class Sale(BaseModel):
    """An order as far as sales go; it counts while it is placed and not cancelled."""

    order_id: str
    day: date
    currency: str
    total: int
    counts: bool


class SalesByDay(BaseModel):
    """The orders of one day, by `ordered_at` in UTC, in one currency."""

    day: date
    currency: str
    orders: int
    total: int


class SalesOfPeriod(BaseModel):
    """The orders of one day (`2026-01-31`) or month (`2026-01`) in one currency."""

    period: str
    currency: str
    orders: int
    total: int


# Folds


def created(_: Sale | None, event: Recorded[OrderCreated]) -> Sale:
    """Remember when and in what currency."""
    ordered_at: datetime = event.data.ordered_at or event.recorded_at
    day = ordered_at.astimezone(UTC).date()
    return Sale(order_id=event.key, day=day, currency=event.data.currency, total=0, counts=False)


def placed(row: Sale | None, event: Recorded[OrderPlaced]) -> Sale | None:
    """It counts."""
    return row and row.model_copy(update={"total": event.data.total, "counts": True})


def cancelled(row: Sale | None, _: Recorded[Any]) -> Sale | None:
    """It does not count any more."""
    return row and row.model_copy(update={"counts": False})


# Projection

SALES_BY_DAY = Tally(
    name="sales_by_day",
    row=SalesByDay,
    key=("day", "currency"),
    contribution=lambda sale: (
        SalesByDay(day=sale.day, currency=sale.currency, orders=1, total=sale.total) if sale.counts else None
    ),
)

SALES = Projection(
    name="sales",
    row=Sale,
    key="order_id",
    sources=(ORDER,),
    on={OrderCreated: created, OrderPlaced: placed, OrderCancelled: cancelled},
    tallies=(SALES_BY_DAY,),
)

# Queries


async def sales_by(
    reader: ViewReader, by: Literal["day", "month"], *, first: date | None, last: date | None
) -> Seen[list[SalesOfPeriod]]:
    """Sales from day `first` to day `last`, both included, all when None; in order of period and currency.

    Raises:
        ViewsUnavailable: as `ViewReader.get`.
    """
    seen = await reader.select(SALES, _sales_by(by), first=first or date.min, last=last or date.max)
    return Seen(
        [
            SalesOfPeriod(
                period=record["period"],
                currency=record["currency"],
                orders=int(record["orders"]),
                total=int(record["total"]),
            )
            for record in seen.value
        ],
        seen.checkpoint,
    )


@cache
def _sales_by(by: Literal["day", "month"]) -> Query:
    days = tally_table(SALES_BY_DAY).table
    shape: ColumnElement[str] = literal_column("'YYYY-MM-DD'" if by == "day" else "'YYYY-MM'")
    # The driver has made infinity of the first and the last day that there are, of which a period cannot be told.
    day = func.least(days.c.day, literal_column("DATE '9999-12-31'"))
    day = func.greatest(day, literal_column("DATE '0001-01-01'"))
    period = func.to_char(day, shape, type_=Text())
    orders = func.sum(days.c.orders)
    query = (
        select(period.label("period"), days.c.currency, orders.label("orders"), func.sum(days.c.total).label("total"))
        .where(days.c.day.between(bindparam("first", type_=Date()), bindparam("last", type_=Date())))
        .group_by(period, days.c.currency)
        .having(orders > literal_column("0"))
    )
    return Query(query, period, days.c.currency)
