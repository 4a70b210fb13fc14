"""What was, from the log: history, and actors as of a moment of the past."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from actors.store.event_store import StoreUnavailable
from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICE = {"name": "Alice", "email": "alice@example.com"}
NAMES = ["Alice A", "Alice B", "Alice C"]

BAD_QUESTIONS = [
    ("/v1/customers/nobody/history", 404, "customer-not-found"),
    ("/v1/orders/nothing/history", 404, "order-not-found"),
    ("/v1/customers/alice/history?limit=0", 422, "invalid"),
    ("/v1/customers/alice/history?limit=201", 422, "invalid"),
    ("/v1/customers/alice/history?after_version=-1", 422, "invalid"),
    ("/v1/customers/alice/history?after_version=9223372036854775808", 422, "invalid"),
    ("/v1/customers/a%20b/history", 422, "invalid"),
    ("/v1/customers/nobody?as_of_version=1", 404, "customer-not-found"),
    ("/v1/orders/nothing?as_of=2026-01-31T12:00:00Z", 404, "order-not-found"),
    ("/v1/customers/alice?as_of=1997-01-31T12:00:00Z", 404, "customer-not-found"),
    ("/v1/customers/alice?as_of_version=5", 404, "version-not-found"),
    ("/v1/customers/alice?as_of_version=0", 422, "invalid"),
    ("/v1/customers/alice?as_of_version=x", 422, "invalid"),
    ("/v1/customers/alice?as_of=yesterday", 422, "invalid"),
    ("/v1/customers/alice?as_of=2026-01-31T12:00:00", 422, "invalid"),
    ("/v1/customers/alice?as_of=1769902200", 422, "invalid"),
    ("/v1/customers/alice?as_of=9999-12-31T23:59:59-23:59", 422, "invalid"),
    ("/v1/customers/alice?as_of=2026-01-31T12:00:00Z&as_of_version=1", 422, "invalid"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(service: Service) -> Service:
    """A service with one customer who was renamed three times."""
    await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"Request-Id": "r-1"})
    for name in NAMES:
        reply = await service.http.post("/v1/customers/alice/rename", json={"name": name})
        assert reply.status_code == 200
    return service


async def get(service: Service, path: str, **headers: str) -> Any:
    reply = await service.http.get(path, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_history_is_shown_as_the_contract_says(service: Service) -> None:
    reply = await service.http.get("/v1/customers/alice/history")

    body = reply.json()
    first = body["items"][0]
    assert first == {
        "version": 1,
        "type": "CustomerRegistered",
        "data": {"name": "Alice", "email": "alice@example.com", "credit_limit": None},
        "recorded_at": first["recorded_at"],
        "command_id": first["command_id"],
        "by": "bob",
        "request_id": "r-1",
        "partition": first["partition"],
        "position": 1,
    }
    assert first["recorded_at"].endswith("Z")
    assert [item["version"] for item in body["items"]] == [1, 2, 3, 4]
    assert body["next_after_version"] is None
    assert reply.headers["Consistency-Token"]


async def test_pages_of_history_have_every_event_once(service: Service) -> None:
    versions: list[int] = []
    after: int | None = 0
    while after is not None:
        page = await get(service, f"/v1/customers/alice/history?limit=3&after_version={after}")
        versions += [item["version"] for item in page["items"]]
        after = page["next_after_version"]

    assert versions == [1, 2, 3, 4]


async def test_customer_is_shown_as_of_a_version_and_as_of_its_time(service: Service) -> None:
    for item in (await get(service, "/v1/customers/alice/history"))["items"]:
        by_version = await service.http.get(f"/v1/customers/alice?as_of_version={item['version']}")
        by_time = await service.http.get("/v1/customers/alice", params={"as_of": item["recorded_at"]})

        assert by_version.json()["name"] == item["data"]["name"]
        assert by_version.headers["ETag"] == f'"{item["version"]}"'
        assert by_time.json() == by_version.json()


async def test_customer_as_of_now_is_what_the_view_shows(service: Service) -> None:
    then = await service.http.get("/v1/customers/alice?as_of=9999-01-01T00:00:00Z")

    token = {"Consistency-Token": then.headers["Consistency-Token"]}
    now = await service.http.get("/v1/customers/alice", headers=token)

    assert then.json() == now.json()
    assert then.headers["ETag"] == now.headers["ETag"]


async def test_order_is_shown_as_of_a_version(service: Service) -> None:
    line = {"sku": "cd-1", "quantity": 2, "unit_price": 1500}
    await service.http.post("/v1/orders/o1/create", json={"customer_id": "alice", "currency": "USD", "lines": [line]})
    await service.http.post("/v1/orders/o1/place")

    assert (await get(service, "/v1/orders/o1?as_of_version=1"))["lines"] == []
    before = await get(service, "/v1/orders/o1?as_of_version=2")
    assert (before["lines"], before["status"], before["total"]) == ([line], "open", 3000)
    assert (await get(service, "/v1/orders/o1?as_of_version=3"))["status"] == "placed"


async def test_bad_question_about_the_past_is_a_problem(service: Service) -> None:
    for path, status, code in BAD_QUESTIONS:
        reply = await service.http.get(path)

        assert (reply.status_code, reply.json().get("code")) == (status, code), path


async def test_history_after_the_end_is_empty(service: Service) -> None:
    assert await get(service, "/v1/customers/alice/history?after_version=4") == {
        "items": [],
        "next_after_version": None,
    }


async def test_token_of_the_past_has_what_the_caller_knew_before(service: Service) -> None:
    reply = await service.http.post("/v1/customers/bob/register", json=ALICE)
    past = await service.http.get(
        "/v1/customers/alice/history", headers={"Consistency-Token": reply.headers["Consistency-Token"]}
    )

    await get(service, "/v1/customers/bob", **{"Consistency-Token": past.headers["Consistency-Token"]})


async def test_log_that_is_away_is_told_and_the_views_go_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the log is away")

    monkeypatch.setattr(service.store, "read_stream", away)
    past = await service.http.get("/v1/customers/alice/history")
    now = await service.http.get("/v1/statistics/customers")

    assert (past.status_code, past.json()["code"], past.headers["Retry-After"]) == (503, "unavailable", "1")
    assert now.status_code == 200
