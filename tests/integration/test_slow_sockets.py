"""Row L1 of the checklist at full size: many sockets that send almost nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest

from projections.standard import STANDARD
from tests.integration.service import Service, running_service

SOCKETS = 500
CLOSED_WITHIN_S = 15.0
QUERIES = 300


@pytest.mark.long
async def test_l1_slow_sockets_are_closed_and_disturb_nobody(views_url: str, tmp_path: Path) -> None:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        alone = await p99_s(service)
        heads = [asyncio.create_task(trickle(service, b"GET /healthz HTTP/1.1\r\nX: ")) for _ in range(SOCKETS // 2)]
        token = service.http.headers["Authorization"]
        body = f"POST /v1/orders/x/place HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n".encode()
        body += b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        bodies = [asyncio.create_task(trickle(service, body)) for _ in range(SOCKETS // 2)]
        beside = await p99_s(service)
        lasted = await asyncio.gather(*heads, *bodies)

    assert max(lasted) < CLOSED_WITHIN_S
    assert beside < max(2 * alone, 0.05)


async def trickle(service: Service, beginning: bytes) -> float:
    """Send a byte a second after a beginning; how long the service bore it, in seconds."""
    reader, writer = await asyncio.open_connection(service.http.base_url.host, service.http.base_url.port)
    began = time.monotonic()
    writer.write(beginning)
    closed = asyncio.create_task(reader.read())
    while not closed.done():
        with suppress(ConnectionError):
            writer.write(b"x")
            await writer.drain()
        await asyncio.wait([closed], timeout=1.0)
    with suppress(ConnectionError):
        closed.result()
    writer.close()
    return time.monotonic() - began


async def p99_s(service: Service) -> float:
    """The ninety-ninth percentile of some queries, one after the other."""
    took = []
    for _ in range(QUERIES):
        began = time.perf_counter()
        assert (await service.http.get("/v1/customers/x")).status_code == 404
        took.append(time.perf_counter() - began)
    return sorted(took)[int(len(took) * 0.99)]
