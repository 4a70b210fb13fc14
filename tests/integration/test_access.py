"""Rows H2 to H9, J1, J7, E1, R2, B1, B2 and A2 of the checklist, each test named after its row."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import timedelta
from typing import Any

import jwt
import pytest

from gateway.access.auth import TOKEN_SCOPES
from gateway.access.local_key import AUDIENCE, ISSUER
from projections.standard import STANDARD
from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC = {"/healthz", "/readyz", "/metrics"}


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


async def test_j1_forged_token_is_refused(service: Service) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "scope": "queries:read", "iat": 0, "exp": 4_000_000_000}
    for token in (jwt.encode(claims, "", algorithm="none"), _hmac_with(service.key.public_pem, claims)):
        reply = await service.http.get("/v1/customers", headers={"Authorization": f"Bearer {token}"})
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")


def _hmac_with(public_pem: bytes, claims: dict[str, Any]) -> str:
    """A token signed with the public key as if it were a shared secret, which PyJWT itself refuses to make."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.new(public_pem, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_h4_page_holds_as_much_as_it_may_and_no_more(service: Service) -> None:
    """Other limits are rows L1 to L6; of what may follow the log, S1."""
    pages = [(path, operation) for method, path, operation in await operations(service) if method == "GET"]
    limited = [path for path, operation in pages if _has_parameter(operation, "limit")]
    assert len(limited) >= 6
    for path in limited:
        for limit in ("0", "-1", "1001", "999999999999999999999"):
            reply = await service.http.get(path, params={"limit": limit})
            assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/limit"), (path, limit)


def _has_parameter(operation: dict[str, Any], name: str) -> bool:
    return any(each["name"] == name for each in operation.get("parameters", []))


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

    monkeypatch.setattr("gateway.routes.customers.find_customers", explode)
    monkeypatch.setattr("gateway.routes.commands.check_json", explode)
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
    ("GET", "/V1/customers", {}, 404, "not-found"),
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
    for path, allowed in (("/v1/customers/x", "GET, OPTIONS"), ("/v1/customers/x/rename", "OPTIONS, POST")):
        options = await service.http.request("OPTIONS", path, headers={"Authorization": ""})
        assert (options.status_code, options.headers["Allow"]) == (204, allowed)
    head = await service.http.head("/v1/customers")
    assert (head.status_code, head.content) == (405, b"")


async def test_r2_slash_too_many_makes_no_other_thing(service: Service, key: str) -> None:
    token = {"Consistency-Token": await service.register(key)}
    for path, same in ((f"/v1/customers/{key}", f"/v1/customers/{key}/"), ("/v1/orders/x", "/v1//orders/x/")):
        plain, slash = [await service.http.get(each, headers=token) for each in (path, same)]
        assert (slash.status_code, slash.headers["Content-Type"]) == (plain.status_code, plain.headers["Content-Type"])
    again = await service.http.post(f"/v1/customers/{key}/rename/", json={"name": "A"})
    assert again.json()["version"] == 2
    assert (await service.http.get("/v1/customers/", headers={"Authorization": ""})).status_code == 401


async def test_b1_page_of_another_origin_is_told_nothing(service: Service) -> None:
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization"
    for reply in (
        await service.http.request("OPTIONS", "/v1/customers/x/rename", headers={**asks, "Authorization": ""}),
        await service.http.get("/v1/customers", headers=asks),
        await service.http.get("/nowhere", headers=asks),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_b2_browser_that_was_led_here_can_do_nothing(service: Service, key: str) -> None:
    """A browser adds cookies and its own passwords by itself; neither lets anybody in."""
    await service.register(key)
    led = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Cookie": "token=x", "Authorization": ""}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
            sent = {**led, "Content-Type": kind}
            reply = await service.http.request(
                method, f"/v1/customers/{key}/rename", content=b'{"name": "E"}', headers=sent
            )
            assert reply.status_code in {401, 405}, (method, kind)
            assert "Set-Cookie" not in reply.headers
    assert await service.events_of(f"customer-{key}") == ["CustomerRegistered"]


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


async def test_j7_token_is_in_no_log_and_no_answer(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("gateway.routes.customers.find_customers", explode)
    token = service.token("queries:read")
    answers = ""
    for sent in (token, token[:-9] + "forged"):
        for path in ("/v1/customers", "/v1/customers/x", "/nowhere", f"/v1/customers?access_token={token}"):
            reply = await service.http.get(path, headers={"Authorization": f"Bearer {sent}"})
            answers += reply.text + repr(reply.headers)
    service.access_log.flush()

    assert "a mistake of ours" in caplog.text
    for secret in token.split("."):
        assert secret not in answers + caplog.text + service.logged.getvalue().decode()


async def test_silos_and_gateways_are_listed(alone: Service) -> None:
    await alone.http.post("/v1/customers/x/register", json={"name": "X", "email": "x@example.com"})

    (silo,) = (await alone.http.get("/v1/admin/silos")).json()["items"]
    (gateway,) = (await alone.http.get("/v1/admin/gateways")).json()["items"]

    assert set(silo) >= {"name", "node", "pid", "partitions", "epochs", "activations", "queued", "started_at"}
    assert (silo["name"], silo["partitions"], silo["activations"], silo["queued"]) == ("silo/0", [0, 1, 2, 3], 1, 0)
    assert silo["epochs"].keys() == {"0", "1", "2", "3"}
    assert silo["batches"] == {"1": 1}
    assert silo["takeover"]["why"] == "its process started"
    assert silo["started_at"] <= silo["takeover"]["at"]
    assert silo["own_homes"] == []
    assert set(gateway) == {"name", "node", "pid", "port"}


async def test_metrics_count_requests_commands_silos_and_lag(alone: Service) -> None:
    alice = {"name": "X", "email": "x@example.com"}
    for _ in range(2):
        await alone.http.post("/v1/customers/x/register", json=alice, headers={"Idempotency-Key": "k"})
    reply = await alone.http.post("/v1/customers/x/register", json=alice)
    await alone.http.post("/v1/customers/x/rename", json={"name": "Y"})
    token = (await alone.http.post("/v1/customers/x/rename", json={"name": "Z"})).json()["token"]
    for path in ("customers/x", "orders/x", "customers/x/orders", "statistics/sales"):
        await alone.http.get(f"/v1/{path}", headers={"Consistency-Token": token})

    metrics = await alone.http.get("/metrics", headers={"Authorization": ""})

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
