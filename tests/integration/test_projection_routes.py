"""Operators see and steer projections over HTTP; with the command line: `tests/acceptance/test_projections.py`."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from projections.standard import STANDARD
from tests.integration.service import Service, running_service

ADMIN = "/v1/admin/projections"


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


async def becomes(service: Service, **wanted: object) -> dict[str, Any]:
    """Wait until the projection of customers is so."""
    while True:
        status: dict[str, Any] = (await service.http.get(f"{ADMIN}/customers")).json()
        if all(status[name] == value for name, value in wanted.items()):
            return status


async def test_projections_are_shown_as_the_contract_says(service: Service) -> None:
    await becomes(service, state="running")
    items = (await service.http.get(ADMIN)).json()["items"]

    assert [item["name"] for item in items] == ["customers", "orders", "customer_orders", "sales"]
    contract = {"name", "version", "pid", "state", "checkpoint", "lag", "events_per_s", "error"}
    assert contract <= items[0].keys()
    assert items[0]["checkpoint"].keys() == {"0", "1", "2", "3"}
    assert items[0]["lag"].keys() == {"events", "seconds"}
    assert items[0]["pid"] == os.getpid()


async def test_projection_is_paused_resumed_and_rebuilt_over_http(service: Service) -> None:
    await becomes(service, state="running")
    assert (await service.http.post(f"{ADMIN}/customers/pause")).json()["state"] == "paused"
    token = await service.register("a")
    refused = await service.http.post(f"{ADMIN}/customers/rebuild")
    assert (refused.status_code, refused.json()["code"]) == (409, "not-possible")

    await service.http.post(f"{ADMIN}/customers/resume")
    await becomes(service, state="running", lag={"events": 0, "seconds": 0.0})
    assert (await service.http.post(f"{ADMIN}/customers/rebuild")).status_code == 200
    assert (await becomes(service, state="running", version=2))["kept"] == 1
    assert (await service.http.get("/v1/customers/a", headers={"Consistency-Token": token})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"{ADMIN}/nothing", 404, "projection-not-found"),
        ("POST", f"{ADMIN}/nothing/pause", 404, "projection-not-found"),
        ("GET", f"{ADMIN}/nothing/parked", 404, "projection-not-found"),
        ("POST", f"{ADMIN}/customers/parked/7/skip", 404, "parked-event-not-found"),
        ("POST", f"{ADMIN}/customers/take-back", 409, "not-possible"),
    ],
)
async def test_what_cannot_be_done_is_a_problem(
    service: Service, method: str, path: str, status: int, code: str
) -> None:
    reply = await service.http.request(method, path)

    assert (reply.status_code, reply.json()["code"]) == (status, code)


async def test_metrics_tell_which_projections_have_failed_and_what_is_parked(service: Service) -> None:
    await becomes(service, state="running")

    text = (await service.http.get("/metrics")).text

    assert 'rayleans_projection_failed{projection="customers"} 0.0' in text
    assert 'rayleans_projection_lag_seconds{projection="customers"} 0.0' in text
    assert 'rayleans_projection_parked_events{projection="customers"} 0.0' in text


async def test_h6_operations_need_a_scope_of_their_own(service: Service) -> None:
    others = {"Authorization": f"Bearer {service.token('queries:read', 'commands:write')}"}

    for method, path in (("GET", ADMIN), ("POST", f"{ADMIN}/customers/pause"), ("GET", f"{ADMIN}/customers/parked")):
        reply = await service.http.request(method, path, headers=others)
        assert reply.status_code == httpx.codes.FORBIDDEN


async def test_a3_what_operators_ask_for_stands_in_the_log_under_their_name(service: Service) -> None:
    await becomes(service, state="running")
    token = service.key.mint("olga", ["admin"], timedelta(minutes=5))
    for path, status in (("customers/pause", 200), ("customers/resume", 200), ("nothing/pause", 404)):
        reply = await service.http.post(f"{ADMIN}/{path}", headers={"Authorization": f"Bearer {token}"})
        assert reply.status_code == status, reply.text

    first = (await service.http.get("/v1/admin/operations?limit=1")).json()
    rest = (await service.http.get(f"/v1/admin/operations?after_version={first['next_after_version']}")).json()

    noted = [(each["type"], each["by"], each["data"]) for each in (*first["items"], *rest["items"])]
    assert noted == [
        ("ActionRequested", "olga", {"action": "pause", "target": "projection/customers"}),
        ("ActionRequested", "olga", {"action": "resume", "target": "projection/customers"}),
    ]
    assert rest["next_after_version"] is None
    await becomes(service, state="running", lag={"events": 0, "seconds": 0.0})


async def test_a3_nobody_else_writes_into_the_log_of_operators(service: Service) -> None:
    note = {"action": "rebuild", "target": "projection/customers"}
    line = json.dumps({"actor": "operator", "id": "service", "command": "note", "data": note})
    batch = await service.http.post("/v1/commands", content=line, headers={"Content-Type": "application/x-ndjson"})

    assert json.loads(batch.text)["status"] == 422
    assert (await service.http.post("/v1/operator/service/note", json=note)).status_code == 404
    assert (await service.http.get("/v1/admin/operations")).json()["items"] == []
