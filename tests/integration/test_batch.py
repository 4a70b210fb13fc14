"""Many commands in one request."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.http import pieces
from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


BAD_LINES = [
    (b"{", ""),
    (b'{"actor": "customer", "id": "a b", "command": "rename"}', "/id"),
    (b'{"actor": "customer", "id": "a", "command": "paint"}', "/command"),
    (b'{"actor": "customer", "id": "a", "command": "rename", "data": {"name": 5}}', "/data/name"),
    (b'{"actor": "customer", "id": "a", "command": "rename", "data": {"name": "A", "a/~b": 1}}', "/data/a~1~0b"),
    (b'{"actor": "customer", "id": "a", "command": "reactivate", "expected_version": "1"}', "/expected_version"),
    (b'{"actor": "customer", "id": "a", "command": "change-credit-limit", "data": {"credit_limit": 1e999}}', ""),
    (b'{"actor": "customer", "id": "a", "command": "change-credit-limit", "data": {"credit_limit": -1e999}}', ""),
]


async def test_what_is_wrong_with_a_line_is_pointed_at(service: Service) -> None:
    reply = await service.http.post(
        "/v1/commands",
        content=b"\n".join(line for line, _ in BAD_LINES),
        headers={"Content-Type": "application/x-ndjson"},
    )

    for (line, pointer), answer in zip(BAD_LINES, map(json.loads, reply.text.splitlines()), strict=True):
        assert (answer["status"], [each["pointer"] for each in answer["errors"]]) == (422, [pointer]), line


async def test_caller_of_a_batch_says_how_long_to_wait(service: Service, key: str) -> None:
    sent = {"Content-Type": "application/x-ndjson", "Prefer": "wait=0"}
    line = {"actor": "customer", "id": key, "command": "register", "data": {"name": "A", "email": "a@example.com"}}

    reply = await service.http.post("/v1/commands", content=json.dumps(line), headers=sent)

    assert (reply.json()["status"], reply.json()["code"]) == (503, "unavailable")
    assert await service.events_of(f"customer-{key}") == []


async def test_who_sends_a_batch_and_takes_no_answer_is_cut_off(
    service: Service, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "SEND_TIMEOUT_S", 0.5)
    _, writer = await asyncio.open_connection(service.http.base_url.host, service.http.base_url.port, limit=1_024)
    head = f"POST /v1/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nRequest-Id: {key}\r\n"
    head += f"Authorization: {service.http.headers['Authorization']}\r\n"
    writer.write(f"{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    async def send_for_ever() -> None:
        while True:
            writer.write(b"800\r\n" + b"{\n" * 0x400 + b"\r\n")
            await writer.drain()

    sending = asyncio.create_task(send_for_ever())
    while key.encode() not in service.logged.getvalue():
        await service.http.get("/healthz")
        service.access_log.flush()
    sending.cancel()
    writer.transport.abort()


async def test_batch_answers_a_line_before_the_next_one_comes(service: Service, key: str) -> None:
    reader, writer = await asyncio.open_connection(service.http.base_url.host, service.http.base_url.port)
    head = (
        f"POST /v1/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {service.http.headers['Authorization']}\r\n"
    )
    writer.write(f"{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    data = {"name": "Alice", "email": "alice@example.com"}
    command_id = "0192f0c1-2f3e-7abc-8def-0123456789ab"
    line = json.dumps({"actor": "customer", "id": key, "command": "register", "data": data, "command_id": command_id})

    for replayed in (False, True):
        writer.write(f"{len(line) + 1:x}\r\n{line}\n\r\n".encode())
        answer = await reader.readuntil(b"}\n")
        assert json.loads(answer[answer.index(b"{") :])["replayed"] is replayed
    writer.write(b"0\r\n\r\n")
    assert b"0\r\n\r\n" in await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
