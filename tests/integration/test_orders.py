"""Orders over HTTP, from their creation to the statistics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from actors.domain.domain import Domain
from actors.domain.order import ORDER
from projections.customer_orders import CUSTOMER_ORDERS, OrderCursor
from projections.customers import CUSTOMERS
from projections.page import write_cursor
from projections.projection import projections_of
from projections.standard import STANDARD
from tests.integration.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_order_goes_from_creation_to_the_statistics(alone: Service) -> None:
    await alone.register("alice")
    lines = [{"sku": "cd-1", "quantity": 2, "unit_price": 1500}]
    created = {"customer_id": "alice", "currency": "USD", "lines": lines, "ordered_at": "1997-01-31T23:30:00-02:00"}
    for command, body in (("create", created), ("place", {}), ("ship", {})):
        reply = await alone.http.post(f"/v1/orders/o1/{command}", json=body)
        assert reply.status_code == 200, reply.text
    token = {"Consistency-Token": reply.json()["token"]}

    order = (await alone.http.get("/v1/orders/o1", headers=token)).json()
    orders = (await alone.http.get("/v1/customers/alice/orders", headers=token)).json()
    sales = (await alone.http.get("/v1/statistics/sales?by=month", headers=token)).json()
    none = (await alone.http.get("/v1/statistics/sales?by=day&to=1997-01-31", headers=token)).json()
    counts = (await alone.http.get("/v1/statistics/customers", headers=token)).json()

    assert order == {
        "id": "o1",
        "customer_id": "alice",
        "status": "shipped",
        "currency": "USD",
        "lines": lines,
        "total": 3000,
        "ordered_at": "1997-02-01T01:30:00Z",
        "version": 4,
    }
    assert [item["id"] for item in orders["items"]] == ["o1"]
    assert sales == {"items": [{"period": "1997-02", "currency": "USD", "orders": 1, "total": 3000}]}
    assert none == {"items": []}
    assert counts == {"active": 1, "inactive": 0}


async def test_orders_of_a_customer_whom_nobody_knows_are_not_found(service: Service, key: str) -> None:
    token = await service.register(f"{key}-known")
    created = {"customer_id": f"{key}-guest", "currency": "USD"}
    guest = (await service.http.post(f"/v1/orders/{key}/create", json=created)).json()["token"]

    async def orders(customer: str, token: str, **query: str) -> httpx.Response:
        path, headers = f"/v1/customers/{key}-{customer}/orders", {"Consistency-Token": token}
        return await service.http.get(path, params=query, headers=headers)

    none, unknown, of_guest = await orders("known", token), await orders("nobody", token), await orders("guest", guest)
    assert (none.status_code, none.json()) == (200, {"items": [], "next_cursor": None})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "customer-not-found")
    assert unknown.headers["Content-Type"] == "application/problem+json"
    assert (of_guest.status_code, [item["id"] for item in of_guest.json()["items"]]) == (200, [key])
    behind = write_cursor(OrderCursor(datetime(1997, 1, 31, tzinfo=UTC), key))
    last = await orders("guest", guest, cursor=behind)
    assert (last.status_code, last.json()["items"]) == (200, [])
    described = (await service.http.get("/openapi.json")).json()["paths"]["/v1/customers/{actor_id}/orders"]["get"]
    assert "404" in described["responses"]
    assert "unknown customer" in described["description"]


async def test_customer_is_not_unknown_before_both_views_are_as_far_as_the_token(alone: Service) -> None:
    customers = next(place for place, view in enumerate(projections_of(STANDARD)) if view is CUSTOMERS)
    alone.runners[customers].cancel()
    headers = {"Consistency-Token": await alone.register("late"), "Prefer": "wait=1"}

    reply = await alone.http.get("/v1/customers/late/orders", headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (503, "not-yet-consistent")


async def test_answer_that_needed_two_views_names_only_what_both_have(alone: Service) -> None:
    orders = next(place for place, view in enumerate(projections_of(STANDARD)) if view is CUSTOMER_ORDERS)
    before = {"Consistency-Token": await alone.register("alice")}
    await alone.http.get("/v1/customers/alice/orders", headers=before)
    alone.runners[orders].cancel()
    created = await alone.http.post("/v1/orders/o1/create", json={"customer_id": "alice", "currency": "USD"})
    after = {"Consistency-Token": created.json()["token"]}
    await alone.http.get("/v1/customers/alice", headers=after)

    reply = await alone.http.get("/v1/customers/alice/orders", headers=before)

    named = alone.tokens.decode(reply.headers["Consistency-Token"])
    assert (reply.status_code, reply.json()["items"]) == (200, [])
    assert alone.tokens.decode(before["Consistency-Token"]).items() <= named.items()
    assert not alone.tokens.decode(after["Consistency-Token"]).keys() & named.keys()


async def test_service_without_the_view_of_customers_says_only_what_it_knows(views_url: str, tmp_path: Path) -> None:
    domain = Domain(deciders=[ORDER], projections=[CUSTOMER_ORDERS])
    async with running_service(domain, views_url, tmp_path) as service:
        reply = await service.http.get("/v1/customers/nobody/orders")

    assert (reply.status_code, reply.json()["items"]) == (200, [])


async def test_cancelled_order_no_longer_counts(service: Service) -> None:
    lines = [{"sku": "cd-1", "quantity": 1, "unit_price": 100}]
    await service.http.post("/v1/orders/o1/create", json={"customer_id": "a", "currency": "USD", "lines": lines})
    await service.http.post("/v1/orders/o1/place")
    reply = await service.http.post("/v1/orders/o1/cancel", json={"reason": "changed my mind"})

    sales = await service.http.get("/v1/statistics/sales", headers={"Consistency-Token": reply.json()["token"]})

    assert sales.json() == {"items": []}


@pytest.mark.parametrize("moment", ["9999-12-31T00:00:00Z", "0001-01-01T12:00:00Z"])
async def test_order_of_an_endless_day_is_refused(service: Service, moment: str) -> None:
    body = {"customer_id": "alice", "currency": "USD", "ordered_at": moment}

    reply = await service.http.post("/v1/orders/endless/create", json=body)

    assert (reply.status_code, reply.json()["code"]) == (422, "invalid")
    (error,) = reply.json()["errors"]
    assert error["pointer"] == "/ordered_at"
    assert "0001-01-02 to 9999-12-30" in error["detail"]


async def test_quantity_is_refused_for_what_it_adds_up_to_only(service: Service, key: str) -> None:
    async def add(quantity: int, unit_price: int) -> tuple[int, object]:
        line = {"sku": f"cd-{unit_price}", "quantity": quantity, "unit_price": unit_price}
        reply = await service.http.post(f"/v1/orders/{key}/add-line", json=line)
        return reply.status_code, reply.json().get("code")

    await service.http.post(f"/v1/orders/{key}/create", json={"customer_id": "a", "currency": "USD"})

    assert [await add(1_000_001, 1), await add(10**15, 0)] == [(200, None), (200, None)]
    assert [await add(10**15, 1), await add(1, 0), await add(2**70, 7)] == [(409, "order-too-large")] * 3
    assert await add(0, 1) == (422, "invalid")
    token = (await service.http.post(f"/v1/orders/{key}/place")).json()["token"]
    order = (await service.http.get(f"/v1/orders/{key}", headers={"Consistency-Token": token})).json()
    assert [line["quantity"] for line in order["lines"]] == [1_000_001, 10**15]
    described = (await service.http.get("/openapi.json")).json()["components"]["schemas"]["OrderAddLine"]
    assert described["properties"]["quantity"]["minimum"] == 1
    assert "maximum" not in described["properties"]["quantity"]
