"""The first and the last day there is, which a log of an earlier release may have: PostgreSQL is told infinity."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime

import pytest

from projections.customer_orders import CUSTOMER_ORDERS, orders_of
from projections.orders import ORDERS
from projections.projection import AnyProjection
from projections.sales import SALES, sales_by
from projections.view_reader import ViewReader
from tests.integration.running_views import Log, Running, audited

VIEWS: list[AnyProjection] = [ORDERS, CUSTOMER_ORDERS, SALES]
ENDS = {
    "first": datetime.min.replace(tzinfo=UTC),
    "ordinary": datetime(9999, 12, 1, 12, tzinfo=UTC),
    "last": datetime.max.replace(tzinfo=UTC),
}


@pytest.fixture
async def placed(views_url: str, reader: ViewReader) -> AsyncIterator[Log]:
    """A log of orders, all placed, and views that have it."""
    log = Log("order")
    for key, moment in ENDS.items():
        created = {"customer_id": "alice", "currency": "USD", "ordered_at": moment.isoformat()}
        heads = await log.write((key, "OrderCreated", json.dumps(created)), (key, "OrderPlaced", '{"total": 5}'))
    async with AsyncExitStack() as stack:
        for view in VIEWS:
            await stack.enter_async_context(Running(log, views_url)(view))
            assert await reader.wait_until(view, heads, timeout_s=10)
        yield log


@pytest.mark.usefixtures("placed")
async def test_sales_of_endless_days_are_shown_as_they_are(reader: ViewReader) -> None:
    async def periods(by: str, first: date | None = None, last: date | None = None) -> list[tuple[str, int]]:
        sales = await sales_by(reader, "day" if by == "day" else "month", first=first, last=last)
        return [(each.period, each.orders) for each in sales.value]

    assert await periods("day") == [("0001-01-01", 1), ("9999-12-01", 1), ("9999-12-31", 1)]
    assert await periods("month") == [("0001-01", 1), ("9999-12", 2)]
    assert await periods("day", date(1, 1, 2), date(9999, 12, 30)) == [("9999-12-01", 1)]
    assert await periods("day", last=date(1, 1, 1)) == [("0001-01-01", 1)]


@pytest.mark.usefixtures("placed")
async def test_orders_of_endless_moments_have_their_time_in_utc(reader: ViewReader) -> None:
    for key, moment in ENDS.items():
        row = (await reader.get(ORDERS, key)).value
        assert row is not None
        assert row.ordered_at == moment
    pages, cursor = [], None
    for _ in ENDS:
        page = (await orders_of(reader, "alice", limit=1, cursor=cursor)).value
        pages += [(order.id, order.ordered_at) for order in page.items]
        cursor = page.next_cursor
    assert pages == [(key, ENDS[key]) for key in ("last", "ordinary", "first")]


async def test_views_with_endless_days_equal_a_replay(placed: Log, views_url: str) -> None:
    for view in VIEWS:
        audit = await audited(placed, views_url, view)
        assert (audit.rows, audit.difference) == (len(ENDS), None)
