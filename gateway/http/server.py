"""The HTTP server of a gateway, in the event loop of its process.

Granian, because it has a deadline for request headers and keeps the socket work out of Python.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psutil
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar.types import ASGIApp
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

HEADER_TIMEOUT_MS = 10_000
BACKLOG = 1_024
MOST_CONNECTIONS = 8_192
LARGEST_HEAD = 64 * 1024
STOP_TIMEOUT_S = 20.0
# Long enough for whoever is about to send a request on an old connection to be answered there.
GRACE_S = 0.5
GRACE_POLL_S = 0.02


class HttpServer:
    """Serves an app on a socket until it is stopped."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._server = Server(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            # HTTP/2 has floods of its own and no use behind a proxy.
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=MOST_CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=LARGEST_HEAD),
            log_enabled=False,
        )
        self._port = port
        self._work: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to serve; the task ends when the server does."""
        self._work = asyncio.get_running_loop().create_task(self._server.serve())
        return self._work

    async def stop(self) -> None:
        """Take no more connections, and let the requests that are under way end.

        Close the door before: then callers who are connected leave with their next answer, which is waited for.
        """
        left = AsyncRetrying(retry=retry_if_result(bool), wait=wait_fixed(GRACE_POLL_S), stop=stop_after_delay(GRACE_S))
        with suppress(RetryError):
            await left(asyncio.to_thread, self._connected)
        self._server.stop()  # type: ignore[no-untyped-call]
        if self._work is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._work

    def _connected(self) -> bool:
        """Whether somebody is; the server itself does not tell."""
        connections = psutil.Process().net_connections("tcp")
        return any(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == self._port for each in connections)
