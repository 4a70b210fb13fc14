from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.local_key import AUDIENCE, ISSUER
from projections.standard import STANDARD
from tests.integration.service import Service, running_service

ALICE = {"name": "Alice", "email": "alice@example.com"}


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


async def register(service: Service, key: str = "alice", **fields: Any) -> str:
    reply = await service.http.post(f"/v1/customers/{key}/register", json={**ALICE, **fields})
    assert reply.status_code == 200, reply.text
    token: str = reply.json()["token"]
    return token


async def test_command_is_answered_as_the_contract_says(service: Service) -> None:
    reply = await service.http.post("/v1/customers/alice/register", json=ALICE)

    assert reply.status_code == 200
    body = reply.json()
    assert body == {
        "id": "alice",
        "version": 1,
        "events": [
            {
                "type": "CustomerRegistered",
                "version": 1,
                "data": {"name": "Alice", "email": "alice@example.com", "credit_limit": None},
            }
        ],
        "command_id": body["command_id"],
        "replayed": False,
        "token": reply.headers["Consistency-Token"],
    }
    assert reply.headers["ETag"] == '"1"'
    assert reply.headers["Request-Id"]
    assert "Idempotency-Replayed" not in reply.headers


async def test_d2_same_key_gets_the_same_answer(service: Service) -> None:
    first = await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"Idempotency-Key": "k1"})
    again = await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"Idempotency-Key": "k1"})

    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == {**first.json(), "replayed": True}
    assert await service.events_of("customer-alice") == ["CustomerRegistered"]


async def test_d3_same_key_with_another_body_is_refused(service: Service) -> None:
    await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"Idempotency-Key": "k1"})

    reply = await service.http.post("/v1/customers/alice/rename", json={"name": "A"}, headers={"Idempotency-Key": "k1"})

    assert (reply.status_code, reply.json()["code"]) == (422, "idempotency-key-reused")


async def test_d5_key_of_another_caller_is_another_key(service: Service) -> None:
    await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"Idempotency-Key": "k1"})
    eve = service.key.mint("eve", ["commands:write"], timedelta(minutes=1))

    reply = await service.http.post(
        "/v1/customers/bob/register", json=ALICE, headers={"Idempotency-Key": "k1", "Authorization": f"Bearer {eve}"}
    )

    assert reply.status_code == 200
    assert not reply.json()["replayed"]


async def test_c2_if_match_must_be_the_version(service: Service) -> None:
    await register(service)

    wrong = await service.http.post("/v1/customers/alice/rename", json={"name": "A"}, headers={"If-Match": '"7"'})
    right = await service.http.post("/v1/customers/alice/rename", json={"name": "A"}, headers={"If-Match": '"1"'})
    taken = await service.http.post("/v1/customers/alice/rename", json={"name": "B"}, headers={"If-None-Match": "*"})

    assert (wrong.status_code, wrong.json()["code"], wrong.json()["actual_version"]) == (412, "version-mismatch", 1)
    assert right.status_code == 200
    assert taken.status_code == 412


async def test_c2_of_many_who_expect_the_same_version_one_succeeds(service: Service) -> None:
    await register(service)
    rename, expected = "/v1/customers/alice/rename", {"If-Match": '"1"'}

    replies = await asyncio.gather(
        *(service.http.post(rename, json={"name": f"A{number}"}, headers=expected) for number in range(10))
    )

    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 9


async def test_c4_retry_of_a_command_that_was_applied_is_a_success_although_its_version_is_past(
    service: Service,
) -> None:
    await register(service)
    sent = {"If-Match": '"1"', "Idempotency-Key": "k"}
    first = await service.http.post("/v1/customers/alice/rename", json={"name": "A"}, headers=sent)
    await service.http.post("/v1/customers/alice/rename", json={"name": "B"})

    again = await service.http.post("/v1/customers/alice/rename", json={"name": "A"}, headers=sent)

    assert (again.status_code, again.json()) == (200, {**first.json(), "replayed": True})


async def test_d4_same_key_at_the_same_time_is_one_command(service: Service) -> None:
    await register(service)
    rename, key = "/v1/customers/alice/rename", {"Idempotency-Key": "k"}

    replies = await asyncio.gather(*(service.http.post(rename, json={"name": "A"}, headers=key) for _ in range(10)))

    assert {reply.status_code for reply in replies} == {200}
    assert sorted(reply.json()["replayed"] for reply in replies) == [False] + [True] * 9
    assert len({reply.json()["version"] for reply in replies}) == 1
    assert await service.events_of("customer-alice") == ["CustomerRegistered", "CustomerRenamed"]


async def test_d7_rejection_is_not_kept_for_the_key(service: Service) -> None:
    rename, key = "/v1/customers/alice/rename", {"Idempotency-Key": "k"}
    early = await service.http.post(rename, json={"name": "A"}, headers=key)
    await register(service)

    again = await service.http.post(rename, json={"name": "A"}, headers=key)

    assert (early.status_code, again.status_code, again.json()["replayed"]) == (404, 200, False)


async def test_a1_origin_of_a_command_is_in_the_log_and_never_from_its_body(service: Service) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = {"Request-Id": "r-17", "traceparent": trace}
    before = time.time()
    await service.http.post("/v1/customers/alice/register", json=ALICE, headers=sent)
    line = json.dumps({"actor": "customer", "id": "alice", "command": "rename", "data": {"name": "B"}})
    forged = json.dumps({"actor": "customer", "id": "alice", "command": "rename", "data": {"name": "C"}, "by": "eve"})
    batch = {**sent, "Content-Type": "application/x-ndjson"}
    await service.http.post("/v1/commands", content=f"{line}\n{forged}\n", headers=batch)

    events = await service.store.read_stream("customer-alice")
    assert len(events) == 2
    for event in events:
        metadata = json.loads(event.metadata)
        assert before - 1 < metadata.pop("received_at") < time.time() + 1
        assert metadata.pop("silo").startswith("silo/0")
        assert metadata == {"by": "bob", "request_id": "r-17", "traceparent": trace}


async def test_a1_trace_that_is_none_is_left_out(service: Service) -> None:
    await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"traceparent": "00-<script>"})

    (event,) = await service.store.read_stream("customer-alice")
    assert "traceparent" not in event.metadata


async def test_r1_query_with_the_token_of_a_command_sees_it(service: Service) -> None:
    for number in range(20):
        key = f"c{number}"
        token = await register(service, key)
        reply = await service.http.get(f"/v1/customers/{key}", headers={"Consistency-Token": token})
        assert reply.status_code == 200, reply.text
        assert reply.json()["version"] == 1


async def test_queries_on_all_views_wait_at_the_same_time(service: Service) -> None:
    token = {"Consistency-Token": await register(service)}
    paths = ["customers/alice", "customers/alice/orders", "orders/x", "statistics/sales", "statistics/customers"]

    replies = await asyncio.gather(*(service.http.get(f"/v1/{path}", headers=token) for path in paths * 4))

    assert [reply.status_code for reply in replies] == [200, 200, 404, 200, 200] * 4


async def test_customer_is_shown_as_the_contract_says(service: Service) -> None:
    token = await register(service, credit_limit=500)

    reply = await service.http.get("/v1/customers/alice", headers={"Consistency-Token": token})

    body = reply.json()
    assert set(body) == {"id", "name", "email", "status", "credit_limit", "version", "registered_at", "updated_at"}
    assert (body["status"], body["credit_limit"], body["version"]) == ("active", 500, 1)
    assert body["registered_at"].endswith("Z")
    assert reply.headers["ETag"] == '"1"'


async def test_c5_query_with_its_own_etag_is_not_answered_again(service: Service) -> None:
    token = await register(service)
    first = await service.http.get("/v1/customers/alice", headers={"Consistency-Token": token})

    again = await service.http.get("/v1/customers/alice", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Consistency-Token"]


async def test_r1_query_is_not_answered_with_data_older_than_its_token(
    service: Service,
) -> None:
    await register(service)
    for runner in service.runners:
        runner.cancel()
    token = await register(service, "late")

    reply = await service.http.get("/v1/customers/alice", headers={"Consistency-Token": token, "Prefer": "wait=0"})

    assert (reply.status_code, reply.json()["code"]) == (503, "not-yet-consistent")
    assert reply.headers["Retry-After"]


@pytest.mark.parametrize("token", ["x", "", "AAAAAAAAAAAAMC0x", "é"])
async def test_r1_made_up_token_is_refused(service: Service, token: str) -> None:
    reply = await service.http.get("/v1/customers/alice", headers=[(b"Consistency-Token", token.encode())])

    assert (reply.status_code, reply.json()["code"]) == (400, "invalid-token")


async def test_customers_are_found_by_words_of_their_name_and_by_address(service: Service) -> None:
    await register(service, "a", name="Ada Lovelace", email="ada@example.com")
    await register(service, "b", name="Bob O'Neil", email="bob@example.com")
    token = await register(service, "c", name="ada Byron", email="count@example.org")

    async def search(**query: str) -> list[str]:
        reply = await service.http.get("/v1/customers", params=query, headers={"Consistency-Token": token})
        return [item["id"] for item in reply.json()["items"]]

    assert await search(search="ada") == ["c", "a"]
    assert await search(search="LOVE") == ["a"]
    assert await search(search="ada by") == ["c"]
    assert await search(search="o'n") == ["b"]
    assert await search(search="count@") == ["c"]
    assert await search(search="example") == []
    assert await search(search="vel") == []
    assert await search(sort="-name") == ["b", "a", "c"]
    assert await search(sort="registered_at") == ["a", "b", "c"]
    assert await search(status="inactive") == []


@pytest.mark.parametrize("sort", ["name", "-name", "registered_at", "-registered_at"])
async def test_pages_have_every_customer_once(service: Service, sort: str) -> None:
    for number in range(7):
        token = await register(service, f"c{number}", name=f"Name {number % 3}")
    seen: list[str] = []
    query = {"sort": sort, "limit": "3"}
    while True:
        reply = await service.http.get("/v1/customers", params=query, headers={"Consistency-Token": token})
        seen += [item["id"] for item in reply.json()["items"]]
        if reply.json()["next_cursor"] is None:
            break
        query["cursor"] = reply.json()["next_cursor"]

    assert sorted(seen) == [f"c{number}" for number in range(7)]
    wrong = await service.http.get(
        "/v1/customers", params={**query, "sort": "name" if "reg" in sort else "registered_at"}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid-cursor")


async def test_order_goes_from_creation_to_the_statistics(service: Service) -> None:
    await register(service)
    lines = [{"sku": "cd-1", "quantity": 2, "unit_price": 1500}]
    created = {"customer_id": "alice", "currency": "USD", "lines": lines, "ordered_at": "1997-01-31T23:30:00-02:00"}
    for command, body in (("create", created), ("place", {}), ("ship", {})):
        reply = await service.http.post(f"/v1/orders/o1/{command}", json=body)
        assert reply.status_code == 200, reply.text
    token = {"Consistency-Token": reply.json()["token"]}

    order = (await service.http.get("/v1/orders/o1", headers=token)).json()
    orders = (await service.http.get("/v1/customers/alice/orders", headers=token)).json()
    sales = (await service.http.get("/v1/statistics/sales?by=month", headers=token)).json()
    none = (await service.http.get("/v1/statistics/sales?by=day&to=1997-01-31", headers=token)).json()
    counts = (await service.http.get("/v1/statistics/customers", headers=token)).json()

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


async def test_cancelled_order_no_longer_counts(service: Service) -> None:
    lines = [{"sku": "cd-1", "quantity": 1, "unit_price": 100}]
    await service.http.post("/v1/orders/o1/create", json={"customer_id": "a", "currency": "USD", "lines": lines})
    await service.http.post("/v1/orders/o1/place")
    reply = await service.http.post("/v1/orders/o1/cancel", json={"reason": "changed my mind"})

    sales = await service.http.get("/v1/statistics/sales", headers={"Consistency-Token": reply.json()["token"]})

    assert sales.json() == {"items": []}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("/v1/customers/a/register", b"{", {}, 422, "invalid"),
        ("/v1/customers/a/register", b"", {}, 422, "invalid"),
        ("/v1/customers/a/register", b"[]", {}, 422, "invalid"),
        ("/v1/customers/a/register", b'{"name": "A", "email": "a@example.com", "x": 1}', {}, 422, "invalid"),
        ("/v1/customers/a/register", b'{"name": 5, "email": "a@example.com"}', {}, 422, "invalid"),
        ("/v1/customers/a/register", b'{"name": "A", "email": "nobody"}', {}, 422, "invalid"),
        ("/v1/customers/a/register", b'{"name": "  ", "email": "a@example.com"}', {}, 422, "invalid"),
        ("/v1/customers/a/register", rb'{"name": "a\u0000", "email": "a@example.com"}', {}, 422, "invalid"),
        ("/v1/customers/a/register", rb'{"name": "a\ud800", "email": "a@example.com"}', {}, 422, "invalid"),
        ("/v1/customers/a/register", b'{"name": "\xff", "email": "a@example.com"}', {}, 422, "invalid"),
        (
            "/v1/customers/a/register",
            b'{"name": "A", "email": "a@example.com", "credit_limit": 9223372036854775808}',
            {},
            422,
            "invalid",
        ),
        ("/v1/customers/a/register", b'{"name": ' + b"[" * 100_000, {}, 422, "invalid"),
        ("/v1/customers/a/register", b" " * 1_100_000, {}, 413, "too-large"),
        ("/v1/customers/a/register", b"name=A", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        ("/v1/customers/a/frobnicate", b"{}", {}, 404, "not-found"),
        ("/v1/customers/a b/register", b"{}", {}, 422, "invalid"),
        (f"/v1/customers/{'a' * 65}/register", b"{}", {}, 422, "invalid"),
        ("/v1/customers/a/rename", b'{"name": "A"}', {}, 404, "customer-not-registered"),
        ("/v1/orders/a/place", b"{}", {}, 404, "order-not-created"),
        ("/v1/customers/a/deactivate", b'{"reason": "x"}', {"If-Match": "1"}, 422, "invalid"),
        ("/v1/customers/a/deactivate", b'{"reason": "x"}', {"Idempotency-Key": "k" * 256}, 422, "invalid"),
    ],
)
async def test_bad_command_is_a_problem_and_writes_nothing(
    service: Service, path: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    reply = await service.http.post(path, content=body, headers={"Content-Type": "application/json", **headers})

    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert (reply.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert set(problem) >= {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["request_id"] == reply.headers["Request-Id"]
    assert "Traceback" not in reply.text
    assert await service.events_of("customer-a") == []


async def test_wrong_field_is_pointed_at(service: Service) -> None:
    body = {"customer_id": "a", "currency": "USD", "lines": [{"sku": "x", "quantity": 0, "unit_price": 1}]}

    reply = await service.http.post("/v1/orders/o/create", json=body)

    assert reply.json()["errors"] == [
        {"pointer": "/lines/0/quantity", "detail": "Input should be greater than or equal to 1"}
    ]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/customers/nobody", 404, "customer-not-found"),
        ("/v1/orders/nothing", 404, "order-not-found"),
        ("/v1/customers?limit=0", 422, "invalid"),
        ("/v1/customers?limit=201", 422, "invalid"),
        ("/v1/customers?limit=x", 422, "invalid"),
        ("/v1/customers?sort=age", 422, "invalid"),
        ("/v1/customers?search=%00", 422, "invalid"),
        ("/v1/customers?cursor=x", 400, "invalid-cursor"),
        ("/v1/customers/a%00b", 422, "invalid"),
        ("/v1/statistics/sales?by=year", 422, "invalid"),
        ("/v1/statistics/sales?from=yesterday", 422, "invalid"),
        ("/v1/views/ghosts", 404, "view-not-found"),
        ("/nowhere", 404, "not-found"),
    ],
)
async def test_bad_query_is_a_problem(service: Service, path: str, status: int, code: str) -> None:
    reply = await service.http.get(path)

    assert (reply.status_code, reply.json().get("code")) == (status, code), reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_wrong_parameter_is_pointed_at(service: Service) -> None:
    reply = await service.http.get("/v1/statistics/sales?from=yesterday&to=tomorrow")

    assert [error["pointer"] for error in reply.json()["errors"]] == ["/from", "/to"]


async def test_wrong_method_names_the_right_ones(service: Service) -> None:
    reply = await service.http.get("/v1/customers/a/register")

    assert (reply.status_code, reply.json()["code"]) == (405, "method-not-allowed")
    assert "POST" in reply.headers["Allow"]


async def test_request_without_a_good_token_is_refused(service: Service) -> None:
    public = service.key.public_pem
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "scope": "queries:read", "iat": 0, "exp": 4_000_000_000}
    forged = {
        "none": jwt.encode(claims, "", algorithm="none"),
        "hmac": _hmac_with(public, claims),
        "expired": service.token("queries:read", lifetime=timedelta(minutes=-5)),
        "garbage": "x.y.z",
    }
    for name, token in forged.items():
        reply = await service.http.get("/v1/customers", headers={"Authorization": f"Bearer {token}"})
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated"), name
        assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
    for header in ("", "Basic x", "Bearer", "x.y.z"):
        reply = await service.http.get("/v1/customers", headers={"Authorization": header})
        assert reply.status_code == 401, header


async def test_token_without_the_scope_is_refused(service: Service) -> None:
    reads = {"Authorization": f"Bearer {service.token('queries:read')}"}
    writes = {"Authorization": f"Bearer {service.token('commands:write')}"}

    command = await service.http.post("/v1/customers/alice/register", json=ALICE, headers=reads)
    query = await service.http.get("/v1/customers", headers=writes)

    assert (command.status_code, command.json()["code"]) == (403, "insufficient-scope")
    assert (query.status_code, query.json()["code"]) == (403, "insufficient-scope")
    assert await service.events_of("customer-alice") == []


async def test_health_and_the_description_of_the_api_need_no_token(service: Service) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json"):
        reply = await service.http.get(path, headers={"Authorization": ""})
        assert reply.status_code == 200, reply.text


async def test_every_route_is_described(service: Service) -> None:
    document = (await service.http.get("/openapi.json")).json()

    paths = document["paths"]
    for decider in STANDARD.deciders:
        for name, model in decider.command_types.items():
            operation = paths[f"/v1/{decider.collection}/{{actor_id}}/{name}"]["post"]
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            described = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
            assert set(described["properties"] if model.model_fields else {}) == set(model.model_fields)
            assert {"200", "409", "422", "503", "504"} <= set(operation["responses"])


async def test_batch_answers_each_line_in_order(service: Service) -> None:
    lines = [
        '{"actor": "customer", "id": "a", "command": "register", "data": {"name": "A", "email": "a@example.com"}}',
        '{"actor": "customer", "id": "a", "command": "rename", "data": {"name": "B"}}',
        "",
        "{",
        '{"actor": "customer", "id": "b", "command": "rename", "data": {"name": "B"}}',
        '{"actor": "ghost", "id": "b", "command": "rename"}',
        '{"actor": "customer", "id": "a", "command": "rename", "data": {"name": 5}}',
        '{"actor": "customer", "id": "a", "command": "rename", "data": {"name": "C"}, "expected_version": 9}',
        '{"actor": "customer", "id": "big", "command": "rename", "data": {"name": "' + "x" * 1_100_000 + '"}}',
        '{"actor": "customer", "id": "a", "command": "deactivate", "data": {"reason": "done"}}',
    ]

    reply = await service.http.post(
        "/v1/commands", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
    )

    answers = [json.loads(line) for line in reply.text.splitlines()]
    assert [(answer["status"], answer.get("version", answer.get("code"))) for answer in answers] == [
        (200, 1),
        (200, 2),
        (422, "invalid"),
        (404, "customer-not-registered"),
        (422, "invalid"),
        (422, "invalid"),
        (412, "version-mismatch"),
        (413, "too-large"),
        (200, 3),
    ]


async def test_batch_answers_a_line_before_the_next_one_comes(service: Service) -> None:
    reader, writer = await asyncio.open_connection(service.http.base_url.host, service.http.base_url.port)
    head = (
        f"POST /v1/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {service.http.headers['Authorization']}\r\n"
    )
    writer.write(f"{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    body = json.dumps({"actor": "customer", "id": "a", "command": "register", "data": ALICE}) + "\n"

    for replayed in (False, True):
        line = body.replace('"actor"', '"command_id": "0192f0c1-2f3e-7abc-8def-0123456789ab", "actor"')
        writer.write(f"{len(line):x}\r\n{line}\r\n".encode())
        answer = await reader.readuntil(b"}\n")
        assert json.loads(answer[answer.index(b"{") :])["replayed"] is replayed
    writer.write(b"0\r\n\r\n")
    assert b"0\r\n\r\n" in await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


def _hmac_with(public_pem: bytes, claims: dict[str, Any]) -> str:
    """A token signed with the public key as if it were a shared secret, which PyJWT itself refuses to make."""
    import base64
    import hashlib
    import hmac

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.new(public_pem, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
