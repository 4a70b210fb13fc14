"""The HTTP server with nothing behind it: the limit that figures over HTTP are held against."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from litestar.types import Receive, Scope, Send

from gateway.http.free_port import free_port
from gateway.http.server import HttpServer

ANSWER = b'{"id": "c1", "version": 2, "events": []}'.ljust(320)


@asynccontextmanager
async def bare_server() -> AsyncIterator[str]:
    """A process that answers every request at once and alike, until the block ends; gives its address."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port,), daemon=True)
    process.start()
    try:
        await _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


async def _wait_for(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


def _serve(port: int) -> None:
    async def work() -> None:
        await HttpServer(_answer, "127.0.0.1", port).start()

    uvloop.run(work())


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":  # type: ignore[comparison-overlap]
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": False})
