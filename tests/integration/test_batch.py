"""Many commands in one request."""

from __future__ import annotations

import asyncio
import json

import pytest

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
