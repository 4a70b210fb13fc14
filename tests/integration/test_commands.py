"""Commands over HTTP: rows D1 to D7, C2, C4, A1, A4, E2, L8 and L9 of the checklist, each test named after its row."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from actors.store.memory import MemoryWriteSession
from tests.in_process import LocalTransport
from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICE = {"name": "Alice", "email": "alice@example.com"}


async def rename(service: Service, key: str, name: str, **headers: str) -> httpx.Response:
    return await service.http.post(f"/v1/customers/{key}/rename", json={"name": name}, headers=headers)


async def waiting(service: Service) -> int:
    """How many requests wait for an answer, with the one that asks this."""
    text = (await service.http.get("/metrics")).text
    (number,) = re.findall(r'^rayleans_http_waiting\{gateway="gateway/0"\} (\d+)', text, re.MULTILINE)
    return int(number)


@asynccontextmanager
async def standstill(of: type, name: str) -> AsyncIterator[None]:
    """Calls of a method wait until the block ends, and then go on."""
    goes_on, method = asyncio.Event(), getattr(of, name)

    async def held(*arguments: object) -> object:
        await goes_on.wait()
        return await method(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of, name, held)
        yield
    goes_on.set()


async def test_command_is_answered_as_the_contract_says(service: Service, key: str) -> None:
    reply = await service.http.post(f"/v1/customers/{key}/register", json=ALICE)

    assert reply.status_code == 200
    body = reply.json()
    assert body == {
        "id": key,
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


async def test_d1_key_stands_in_quotes_or_without_and_has_at_most_255_characters(service: Service, key: str) -> None:
    await service.register(key)
    plain = await rename(service, key, "A", **{"Idempotency-Key": key})
    quoted = await rename(service, key, "A", **{"Idempotency-Key": f'"{key}"'})
    longest = await rename(service, key, "B", **{"Idempotency-Key": key.ljust(255, "k")})

    assert (plain.json()["replayed"], quoted.json()["replayed"]) == (False, True)
    assert longest.status_code == 200
    for bad in ("", '""', key.ljust(256, "k"), "tab\tin it"):
        refused = await rename(service, key, "C", **{"Idempotency-Key": bad})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), bad


async def test_d1_commands_without_a_key_are_different_commands(service: Service, key: str) -> None:
    await service.register(key)
    for name in ("A", "B", "A"):
        assert not (await rename(service, key, name)).json()["replayed"]

    assert len(await service.events_of(f"customer-{key}")) == 4


async def test_d2_same_key_gets_the_same_answer(service: Service, key: str) -> None:
    register, sent = f"/v1/customers/{key}/register", {"Idempotency-Key": key}
    first = await service.http.post(register, json=ALICE, headers=sent)
    again = await service.http.post(register, json=ALICE, headers=sent)

    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == first.content.replace(b'"replayed":false', b'"replayed":true')
    assert await service.events_of(f"customer-{key}") == ["CustomerRegistered"]


async def test_d3_same_key_with_another_body_is_refused(service: Service, key: str) -> None:
    await service.register(key)
    await rename(service, key, "A", **{"Idempotency-Key": key})

    reply = await rename(service, key, "B", **{"Idempotency-Key": key})

    assert (reply.status_code, reply.json()["code"]) == (422, "idempotency-key-reused")


async def test_d4_same_key_at_the_same_time_is_one_command(service: Service, key: str) -> None:
    await service.register(key)

    replies = await asyncio.gather(*(rename(service, key, "A", **{"Idempotency-Key": key}) for _ in range(10)))

    assert {reply.status_code for reply in replies} == {200}
    assert sorted(reply.json()["replayed"] for reply in replies) == [False] + [True] * 9
    assert len({reply.json()["version"] for reply in replies}) == 1
    assert await service.events_of(f"customer-{key}") == ["CustomerRegistered", "CustomerRenamed"]


async def test_d5_key_of_another_caller_is_another_key(service: Service, key: str) -> None:
    await service.register(key)
    eve = service.key.mint("eve", ["commands:write"], timedelta(minutes=1))
    await rename(service, key, "A", **{"Idempotency-Key": key})

    reply = await rename(service, key, "B", **{"Idempotency-Key": key, "Authorization": f"Bearer {eve}"})

    assert reply.status_code == 200
    assert not reply.json()["replayed"]


@pytest.mark.parametrize("header", ["Idempotency-Key", "If-Match", "If-None-Match"])
async def test_header_that_stands_there_twice_is_refused(service: Service, key: str, header: str) -> None:
    await service.register(key)
    value = "*" if header == "If-None-Match" else '"1"'
    twice = [(header, value), (header, value), ("Content-Type", "application/json")]

    reply = await service.http.post(f"/v1/customers/{key}/rename", content=b'{"name": "A"}', headers=twice)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, f"/{header}")
    assert await service.events_of(f"customer-{key}") == ["CustomerRegistered"]


@pytest.mark.parametrize("prefer", ["wait=0", "Wait = 0", 'respond-async, wait="0"', "a;wait=0;b"])
async def test_wish_to_wait_is_read_as_the_standard_has_it(service: Service, key: str, prefer: str) -> None:
    reply = await rename(service, key, "A", Prefer=prefer)

    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")


async def test_d7_rejection_is_not_kept_for_the_key(service: Service, key: str) -> None:
    early = await rename(service, key, "A", **{"Idempotency-Key": key})
    await service.register(key)

    again = await rename(service, key, "A", **{"Idempotency-Key": key})

    assert (early.status_code, again.status_code, again.json()["replayed"]) == (404, 200, False)


async def test_c2_if_match_must_be_the_version(service: Service, key: str) -> None:
    await service.register(key)

    wrong = await rename(service, key, "A", **{"If-Match": '"7"'})
    right = await rename(service, key, "A", **{"If-Match": '"1"'})
    taken = await rename(service, key, "B", **{"If-None-Match": "*"})

    assert (wrong.status_code, wrong.json()["code"], wrong.json()["actual_version"]) == (412, "version-mismatch", 1)
    assert right.status_code == 200
    assert taken.status_code == 412


async def test_c2_of_many_who_expect_the_same_version_one_succeeds(service: Service, key: str) -> None:
    await service.register(key)

    replies = await asyncio.gather(*(rename(service, key, f"A{each}", **{"If-Match": '"1"'}) for each in range(10)))

    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 9


async def test_c4_retry_of_a_command_that_was_applied_is_a_success_although_its_version_is_past(
    service: Service, key: str
) -> None:
    await service.register(key)
    sent = {"If-Match": '"1"', "Idempotency-Key": key}
    first = await rename(service, key, "A", **sent)
    await rename(service, key, "B")

    again = await rename(service, key, "A", **sent)

    assert (again.status_code, again.json()) == (200, {**first.json(), "replayed": True})


async def test_a1_origin_of_a_command_is_in_the_log_and_never_from_its_body(service: Service, key: str) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = {"Request-Id": "r-17", "traceparent": trace}
    before = time.time()
    await service.http.post(f"/v1/customers/{key}/register", json=ALICE, headers=sent)
    line = json.dumps({"actor": "customer", "id": key, "command": "rename", "data": {"name": "B"}})
    forged = json.dumps({"actor": "customer", "id": key, "command": "rename", "data": {"name": "C"}, "by": "eve"})
    batch = {**sent, "Content-Type": "application/x-ndjson"}
    await service.http.post("/v1/commands", content=f"{line}\n{forged}\n", headers=batch)

    events = await service.store.read_stream(f"customer-{key}")
    assert len(events) == 2
    for event in events:
        metadata = json.loads(event.metadata)
        assert before - 1 < metadata.pop("received_at") < time.time() + 1
        assert metadata.pop("silo").startswith("silo/0")
        assert metadata == {"by": "bob", "request_id": "r-17", "traceparent": trace}


async def test_a1_trace_that_is_none_is_left_out(service: Service, key: str) -> None:
    await service.http.post(f"/v1/customers/{key}/register", json=ALICE, headers={"traceparent": "00-<script>"})

    (event,) = await service.store.read_stream(f"customer-{key}")
    assert "traceparent" not in event.metadata


async def test_a4_origin_of_a_command_holds_ids_only(service: Service, key: str) -> None:
    """What personal data there is stands in the event, where an erasure would look for it."""
    await service.register(key, name="A name that nobody may copy")

    (event,) = await service.store.read_stream(f"customer-{key}")
    assert json.loads(event.metadata).keys() == {"by", "request_id", "silo", "received_at"}
    assert "A name" not in event.metadata
    assert service.http.headers["Authorization"].removeprefix("Bearer ") not in event.metadata + event.data


async def test_e2_504_promises_nothing_and_503_that_nothing_was_done(service: Service, key: str) -> None:
    await service.register(key)
    sent = {"Idempotency-Key": key, "Prefer": "wait=1"}
    async with standstill(MemoryWriteSession, "append"):
        unknown = await rename(service, key, "A", **sent)
        waited_behind_it = await rename(service, key, "B", Prefer="wait=0")

    again = await rename(service, key, "A", **sent)

    assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome-unknown")
    assert "send it again with the same Idempotency-Key" in unknown.json()["detail"]
    assert (waited_behind_it.status_code, waited_behind_it.json()["code"]) == (503, "unavailable")
    assert "nothing was done" in waited_behind_it.json()["detail"]
    assert waited_behind_it.headers["Retry-After"] == "1"
    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert await service.events_of(f"customer-{key}") == ["CustomerRegistered", "CustomerRenamed"]


async def test_l8_command_that_comes_after_its_deadline_has_no_late_effect(service: Service, key: str) -> None:
    await service.register(key)
    async with standstill(LocalTransport, "execute"):
        late = await rename(service, key, "A", Prefer="wait=1")
    await rename(service, key, "B")

    assert (late.status_code, late.json()["code"]) == (504, "outcome-unknown")
    stored = await service.store.read_stream(f"customer-{key}")
    assert [json.loads(event.data)["name"] for event in stored] == ["Alice", "B"]


async def test_l9_callers_who_leave_do_not_cut_a_command_in_half(service: Service, key: str) -> None:
    lines = [{"sku": f"sku-{each}", "quantity": 1, "unit_price": 1} for each in range(10)]
    body = json.dumps({"customer_id": "a", "currency": "USD", "lines": lines}).encode()
    head = f"Host: 127.0.0.1\r\nAuthorization: {service.http.headers['Authorization']}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    sent = [f"POST /v1/orders/{key}{each}/create HTTP/1.1\r\n{head}".encode() + body for each in range(100)]

    async with standstill(MemoryWriteSession, "append"):
        await asyncio.gather(*(service.leave_after(request) for request in sent))
        # All of them may have left before anybody looked at what they sent.
        while await waiting(service) == 1:
            await service.leave_after(sent[0])
    while await waiting(service) > 1:
        pass
    await service.register(key)

    written = {len(await service.events_of(f"order-{key}{each}")) for each in range(100)}
    assert written in ({11}, {0, 11})


BAD_COMMANDS: list[tuple[str, bytes, Mapping[str, str], int, str]] = [
    ("register", b"{", {}, 422, "invalid"),
    ("register", b"", {}, 422, "invalid"),
    ("register", b"[]", {}, 422, "invalid"),
    ("register", b'{"name": "A", "email": "a@example.com", "x": 1}', {}, 422, "invalid"),
    ("register", b'{"name": 5, "email": "a@example.com"}', {}, 422, "invalid"),
    ("register", b'{"name": "A", "email": "nobody"}', {}, 422, "invalid"),
    ("register", b'{"name": "  ", "email": "a@example.com"}', {}, 422, "invalid"),
    ("register", rb'{"name": "a\u0000", "email": "a@example.com"}', {}, 422, "invalid"),
    ("register", rb'{"name": "a\ud800", "email": "a@example.com"}', {}, 422, "invalid"),
    ("register", b'{"name": "\xff", "email": "a@example.com"}', {}, 422, "invalid"),
    ("register", b'{"name": "A", "email": "a@example.com", "credit_limit": 9223372036854775808}', {}, 422, "invalid"),
    ("register", b'{"name": ' + b"[" * 100_000, {}, 422, "invalid"),
    ("register", b" " * 1_100_000, {}, 413, "too-large"),
    ("register", b"name=A", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
    ("frobnicate", b"{}", {}, 404, "not-found"),
    ("rename", b'{"name": "A"}', {}, 404, "customer-not-registered"),
    ("deactivate", b'{"reason": "x"}', {"If-Match": "1"}, 422, "invalid"),
]


async def test_bad_command_is_a_problem_and_writes_nothing(service: Service, key: str) -> None:
    for command, body, headers, status, code in BAD_COMMANDS:
        sent = {"Content-Type": "application/json", **headers}
        reply = await service.http.post(f"/v1/customers/{key}/{command}", content=body, headers=sent)

        assert reply.headers["Content-Type"] == "application/problem+json"
        problem: dict[str, Any] = reply.json()
        assert (reply.status_code, problem["status"], problem["code"]) == (status, status, code), (body[:60], problem)
        assert set(problem) >= {"type", "title", "status", "detail", "code", "request_id"}
        assert problem["request_id"] == reply.headers["Request-Id"]
        assert "Traceback" not in reply.text
        assert await service.events_of(f"customer-{key}") == []


STEPS: list[tuple[str, str, dict[str, str], str]] = [
    ("POST", "/v1/customers/{}/reactivate", {"If-Match": '"1"', "If-None-Match": "*"}, "send one of them"),
    ("GET", "/v1/customers/{}", {"Authorization": "Bearer x.y.z"}, "get one from who signs for this service"),
    ("GET", "/v1/customers?access_token=x", {}, "send it in the header Authorization"),
    ("GET", "/v1/customers/{}", {"Host": "elsewhere"}, "allow this one with RAYLEANS_ALLOWED_HOSTS"),
    ("GET", "/v1/customers?search=" + "x" * 9_000, {}, "ask for less"),
    ("GET", "/v1/customers", {"X-Long": "x" * 33_000}, "send fewer"),
    ("GET", "/v1/events?type=Nothing", {}, "there are CustomerCreditLimitChanged, "),
    ("GET", "/v1/nothing", {}, "/docs shows all there are"),
    ("GET", "/v1/customers?sort=age", {}, "/docs shows what it takes"),
    ("DELETE", "/v1/customers/{}", {}, "the header Allow names them"),
]


async def test_refusal_says_what_to_do(service: Service, key: str) -> None:
    for method, address, headers, step in STEPS:
        reply = await service.http.request(method, address.format(key), headers=headers)

        assert step in reply.json()["detail"], address[:60]


@pytest.mark.parametrize("bad_key", ["a b", "a" * 65])
async def test_nobody_can_be_called_so(service: Service, bad_key: str) -> None:
    reply = await rename(service, bad_key, "A")

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/id")


async def test_wrong_field_is_pointed_at(service: Service, key: str) -> None:
    body = {"customer_id": "a", "currency": "USD", "lines": [{"sku": "x", "quantity": 0, "unit_price": 1}]}

    reply = await service.http.post(f"/v1/orders/{key}/create", json=body)

    assert reply.json()["errors"] == [
        {"pointer": "/lines/0/quantity", "detail": "Input should be greater than or equal to 1"}
    ]
