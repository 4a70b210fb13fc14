"""Rows H1 to H10, E1 and R2 of the checklist, each test named after its row. One service answers them all."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.auth import TOKEN_SCOPES
from projections.standard import STANDARD
from tests.integration.service import Service, running_service

PUBLIC = {"/healthz", "/readyz", "/metrics"}


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


async def operations(service: Service) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, an address and the description of every route."""
    document = (await service.http.get("/openapi.json")).json()
    return [
        (method.upper(), _address(path, operation), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _address(path: str, operation: dict[str, Any]) -> str:
    """With values that the route accepts, so that it is this route that answers."""
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        value = "1" if schema.get("type") == "integer" else "x"
        if schema.get("format") == "uuid":
            value = "01a20fba-5f93-763a-8e5c-0c180b64a48a"
        path = path.replace(f"{{{parameter['name']}}}", value)
    return path


def bearer(service: Service, *scopes: str, **lifetime: float) -> dict[str, str]:
    token = service.key.mint("bob", scopes, timedelta(**lifetime or {"minutes": 5}))
    return {"Authorization": f"Bearer {token}"}


async def test_h2_every_route_refuses_a_request_without_a_good_token(service: Service) -> None:
    bad = [{"Authorization": ""}, {"Authorization": "Bearer x.y.z"}, bearer(service, "admin", minutes=-5)]
    guarded = [each for each in await operations(service) if each[1] not in PUBLIC]
    assert len(guarded) > 20
    for method, path, _ in guarded:
        for headers in bad:
            reply = await service.http.request(method, path, headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated"), (method, path)
            assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert (await service.http.get("/v1/customers?access_token=x")).status_code == 401


async def test_h5_every_route_refuses_the_token_of_another_scope(service: Service) -> None:
    for method, path, operation in await operations(service):
        needed = re.search(r"Needs the scope `([\w:]+)`", operation["description"])
        if needed is None:
            assert path in PUBLIC
            continue
        for scope in set(TOKEN_SCOPES) - {needed[1]}:
            reply = await service.http.request(method, path, headers=bearer(service, scope))
            assert (reply.status_code, reply.json()["code"]) == (403, "insufficient-scope"), (method, path)
            assert f'scope="{needed[1]}"' in reply.headers["WWW-Authenticate"]


async def test_h3_field_that_a_command_has_not_is_refused(service: Service) -> None:
    fields = ["is_admin", "version", "by", "tenant", "__class__"]
    for decider in STANDARD.deciders:
        for name in decider.command_types:
            reply = await service.http.post(f"/v1/{decider.collection}/x/{name}", json=dict.fromkeys(fields, True))
            assert (reply.status_code, reply.json()["code"]) == (422, "invalid"), name
            assert {f"/{field}" for field in fields} <= {error["pointer"] for error in reply.json()["errors"]}


async def test_h8_answers_say_nothing_of_the_inside_and_forbid_what_browsers_might_do(service: Service) -> None:
    for path in ("/healthz", "/v1/customers", "/nowhere", "/docs", "/openapi.json"):
        headers = (await service.http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] == "rayleans"
        assert not {"x-powered-by", "access-control-allow-origin", "set-cookie"} & headers.keys()
    for path in ("/healthz", "/nowhere", "/v1/admin/silos"):
        assert (await service.http.get(path)).headers["Cache-Control"] == "no-store"


async def test_h8_mistake_of_ours_is_a_500_without_details(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret in /usr/lib/x.py: SELECT 1")

    monkeypatch.setattr("gateway.customer_routes.find_customers", explode)
    monkeypatch.setattr("gateway.commands.check_json", explode)
    for reply in (await service.http.get("/v1/customers"), await service.http.post("/v1/orders/x/place")):
        assert (reply.status_code, reply.json()["code"]) == (500, "internal")
        assert not re.search(r"Traceback|secret|\.py|SELECT", reply.text)


async def test_h9_every_route_is_described_and_under_the_version(service: Service) -> None:
    described = await operations(service)
    for method, path, operation in described:
        assert path in PUBLIC or path.startswith("/v1/"), path
        reply = await service.http.request(method, path, headers={"Authorization": ""})
        assert reply.status_code != 404, path
        assert {"400", "414", "421", "431", "500", "503"} <= operation["responses"].keys(), (method, path)
        for response in operation["responses"].values():
            assert "Request-Id" in response["headers"]


async def test_h9_page_about_the_api_needs_no_other_server(service: Service) -> None:
    page = await service.http.get("/docs", headers={"Authorization": ""})

    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) == 3
    for source in sources:
        assert source.startswith("/docs/")
        part = await service.http.get(source, headers={"Authorization": ""})
        assert part.status_code == 200
        assert part.headers["Content-Type"].startswith(("text/css", "text/javascript"))
    assert (await service.http.get("/docs/nothing")).json()["code"] == "not-found"


WRONG = [
    ("GET", "/nowhere", {}, 404, "not-found"),
    ("GET", "/v1/customers/x/rename", {}, 405, "method-not-allowed"),
    ("DELETE", "/v1/customers/x", {}, 405, "method-not-allowed"),
    ("FROB", "/v1/customers/x", {}, 405, "method-not-allowed"),
    ("TRACE", "/healthz", {}, 405, "method-not-allowed"),
    ("POST", "/v1/commands", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
    ("POST", "/v1/customers/x/rename", {"Content-Type": "multipart/form-data"}, 415, "unsupported-media-type"),
    ("GET", "/v1/customers", {"Consistency-Token": "x"}, 400, "invalid-token"),
    ("GET", "/v1/customers/%2e%2e/", {}, 404, "customer-not-found"),
    ("GET", "/v1/customers/%ff", {}, 422, "invalid"),
]


async def test_e1_whatever_goes_wrong_is_a_problem(service: Service) -> None:
    for method, path, headers, status, code in WRONG:
        content = b"x" if method == "POST" else None
        reply = await service.http.request(method, path, headers=headers, content=content)
        assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/problem+json"), path
        problem = reply.json()
        assert set(problem) >= {"type", "title", "status", "detail", "code", "request_id"}
        assert (problem["status"], problem["code"]) == (status, code), path
        assert problem["type"] == f"urn:rayleans:problem:{code}"
        assert problem["request_id"] == reply.headers["Request-Id"]
        assert ("Allow" in reply.headers) is (status == 405)


async def test_r2_methods_that_ask_about_a_route(service: Service) -> None:
    options = await service.http.request("OPTIONS", "/v1/customers/x", headers={"Authorization": ""})
    assert (options.status_code, options.headers["Allow"]) == (204, "GET, OPTIONS")
    head = await service.http.head("/v1/customers")
    assert (head.status_code, head.content) == (405, b"")


async def test_a2_denied_attempts_are_in_the_access_log_without_token_or_body(service: Service) -> None:
    secret, token = "a-name-that-nobody-may-log", service.token("queries:read")
    reader = {"Authorization": f"Bearer {token}", "Request-Id": "denied-1"}
    await service.http.post("/v1/customers/x/rename?q=hidden", json={"name": secret}, headers=reader)
    await service.http.get("/v1/customers", headers={"Authorization": "Bearer nobody", "Request-Id": "denied-2"})
    await service.http.post("/v1/customers/x/rename", json={"nom": secret}, headers={"Request-Id": "wrong-3"})
    service.access_log.flush()

    text = service.logged.getvalue().decode()
    lines = {line["request_id"]: line for line in map(json.loads, text.splitlines())}
    assert (lines["denied-1"]["status"], lines["denied-1"]["code"]) == (403, "insufficient-scope")
    assert (lines["denied-1"]["subject"], lines["denied-1"]["path"]) == ("bob", "/v1/customers/x/rename")
    assert (lines["denied-2"]["status"], lines["denied-2"]["code"]) == (401, "unauthenticated")
    assert (lines["wrong-3"]["status"], lines["wrong-3"]["code"]) == (422, "invalid")
    for hidden in (secret, token, "hidden", "Bearer"):
        assert hidden not in text


async def test_silos_and_gateways_are_listed(service: Service) -> None:
    await service.http.post("/v1/customers/x/register", json={"name": "X", "email": "x@example.com"})

    (silo,) = (await service.http.get("/v1/admin/silos")).json()["items"]
    (gateway,) = (await service.http.get("/v1/admin/gateways")).json()["items"]

    assert set(silo) >= {"name", "node", "pid", "partitions", "epochs", "activations", "queued", "started_at"}
    assert (silo["name"], silo["partitions"], silo["activations"], silo["queued"]) == ("silo/0", [0, 1, 2, 3], 1, 0)
    assert silo["epochs"].keys() == {"0", "1", "2", "3"}
    assert silo["batches"] == {"1": 1}
    assert set(gateway) == {"name", "node", "pid", "port"}


async def test_metrics_count_requests_commands_silos_and_lag(service: Service) -> None:
    alice = {"name": "X", "email": "x@example.com"}
    for _ in range(2):
        await service.http.post("/v1/customers/x/register", json=alice, headers={"Idempotency-Key": "k"})
    reply = await service.http.post("/v1/customers/x/register", json=alice)
    await service.http.post("/v1/customers/x/rename", json={"name": "Y"})
    token = (await service.http.post("/v1/customers/x/rename", json={"name": "Z"})).json()["token"]
    for path in ("customers/x", "orders/x", "customers/x/orders", "statistics/sales"):
        await service.http.get(f"/v1/{path}", headers={"Consistency-Token": token})

    metrics = await service.http.get("/metrics", headers={"Authorization": ""})

    assert metrics.headers["Content-Type"].startswith("text/plain")
    samples = set(metrics.text.splitlines())
    assert len(samples) == len(metrics.text.splitlines())
    command = 'rayleans_commands_total{actor="customer",command="register",gateway="gateway/0",outcome='
    assert {command + '"done"} 1.0', command + '"replayed"} 1.0'} <= samples
    assert f'{command}"{reply.json()["code"]}"}} 1.0' in samples
    route = 'gateway="gateway/0",method="POST",route="/v1/customers/{actor_id}/rename",status="200"'
    assert f"rayleans_http_requests_total{{{route}}} 2.0" in samples
    assert 'rayleans_silo_activations{silo="silo/0"} 1.0' in samples
    assert 'rayleans_silo_batches{silo="silo/0",size="1"} 3.0' in samples
    for projection in STANDARD.projections:
        assert f'rayleans_projection_lag_events{{projection="{projection.name}"}} 0.0' in samples
    assert 'rayleans_http_waiting{gateway="gateway/1"} 0.0' in samples
    assert metrics.text.count("# TYPE rayleans_http_waiting gauge") == 1
