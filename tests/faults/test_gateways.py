"""A gateway that drops its callers: what was on its way is asked for again at another one, under the same key."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest

from projections.standard import STANDARD
from tests.faults.shoppers import Count, shoppers
from tests.integration.service import running_service
from tests.listening import listening

CALLERS = 16


class Dropper:
    """Stands between callers and a gateway, and drops all of them when it is told to."""

    def __init__(self, host: str, port: int) -> None:
        self._gateway = (host, port)
        self._ends: set[asyncio.StreamWriter] = set()
        self.dropped = 0

    def drop(self) -> None:
        """Every connection breaks, whatever was on its way."""
        self.dropped += len(self._ends)
        for end in self._ends:
            end.transport.abort()

    async def forward(self, reader: asyncio.StreamReader, caller: asyncio.StreamWriter) -> None:
        """One connection, until it breaks."""
        answers, gateway = await asyncio.open_connection(*self._gateway)
        self._ends |= {caller, gateway}
        try:
            await asyncio.gather(_pipe(reader, gateway), _pipe(answers, caller))
        finally:
            self._ends -= {caller, gateway}
            for end in (caller, gateway):
                end.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def test_f4_callers_of_a_gateway_that_drops_them_lose_and_double_nothing(views_url: str, tmp_path: Path) -> None:
    async with running_service(STANDARD, views_url, tmp_path) as service, AsyncExitStack() as in_between:
        url = service.http.base_url
        dropper = Dropper(url.host, url.port or 80)
        port = await in_between.enter_async_context(listening(dropper.forward))
        urls = [f"http://127.0.0.1:{port}", str(url).rstrip("/")]
        async with shoppers(urls, service.token("commands:write", "queries:read"), CALLERS) as acknowledged:
            for _ in range(5):
                await acknowledged.more(100)
                dropper.drop()
            await in_between.aclose()
            await acknowledged.more(100)
        assert dropper.dropped > CALLERS


async def test_f5_l11_gateway_that_is_stopped_under_load_leaves_nothing_unknown(
    views_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine callers need more time to hear that they have to leave.
    monkeypatch.setattr("gateway.http.server.GRACE_S", 30.0)
    async with running_service(STANDARD, views_url, tmp_path) as service:
        answered, seen = Count(), set()

        async def call(number: int) -> None:
            async with httpx.AsyncClient(
                base_url=service.http.base_url, headers=service.http.headers, timeout=30.0
            ) as http:
                status = 200
                turn = 0
                while status == 200:
                    turn += 1
                    body = {"name": "A", "email": "a@example.com"}
                    reply = await http.post(f"/v1/customers/{number}-{turn}/register", json=body)
                    status = reply.status_code
                    seen.add(reply.json().get("code", status))
                    answered.add()
                assert (reply.headers["Connection"], reply.headers["Retry-After"]) == ("close", "1")

        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                callers.create_task(call(number))
            await answered.more(300)
            service.door.close()
            await service.server.stop()
        assert seen <= {200, "unavailable"}
        assert "unavailable" in seen
