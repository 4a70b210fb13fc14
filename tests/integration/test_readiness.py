"""What people are told while a service does not work, and when its port has gone to somebody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from litestar.types import Receive, Scope, Send

from gateway.http.free_port import free_port
from gateway.http.server import HttpServer
from gateway.http.taken_port import why_not_listen
from gateway.readiness import watch_port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def somebody_else(port: int) -> Iterator[socket.socket]:
    """Who has the port."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        yield other


async def ready(scope: Scope, receive: Receive, send: Send) -> None:
    """An app of which only this can be asked."""
    if scope["type"] == "http":  # type: ignore[comparison-overlap]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"reasons": []}', "more_body": False})


async def test_port_that_is_lost_to_another_process_is_told_with_what_to_do_until_it_is_won_back(
    port: int, somebody_else: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.readiness.PORT_INTERVAL_S", 0.01)
    said: asyncio.Queue[str] = asyncio.Queue()
    watch = asyncio.create_task(watch_port(f"http://127.0.0.1:{port}", said.put_nowait))

    lost = await said.get()
    somebody_else.close()
    server = HttpServer(ready, "127.0.0.1", port)
    server.start()
    while await said.get() != "ready again":
        pass

    for part in (f"port {port} of 127.0.0.1 is taken by another process", "end that one", "--port"):
        assert part in lost
    assert why_not_listen("127.0.0.1", port) is not None
    assert why_not_listen("127.0.0.1", port, beside_ours=True) is None
    watch.cancel()
    await server.stop()
