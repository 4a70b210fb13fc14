"""Whether a service works, as seen from outside, and what people are told while it does not."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import NoReturn

import httpx

from gateway.http.taken_port import why_not_listen

PROBE_INTERVAL_S = 0.2
PORT_INTERVAL_S = 1.0
# Also for another server at that port, which may take a connection and never answer.
ANSWER_TIMEOUT_S = 5.0
HTTP_PORT = 80


async def wait_until_ready(url: str, say: Callable[[str], None]) -> bool:
    """Wait until commands and queries work, and say what keeps them from it. Returns whether anything did."""
    said: set[str] = set()
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_TIMEOUT_S) as http:
        while reasons := await _reasons(http):
            # Once each: some come and go in turns.
            if new := [each for each in reasons if each not in said]:
                say("not ready: " + "; ".join(new))
            said.update(new)
            await asyncio.sleep(PROBE_INTERVAL_S)
    return bool(said)


async def watch_port(url: str, say: Callable[[str], None]) -> NoReturn:
    """Say it when another process has the port: a gateway that died meanwhile is started again and again in vain."""
    while True:
        await asyncio.sleep(PORT_INTERVAL_S)
        if _taken(httpx.URL(url)) and await wait_until_ready(url, say):
            say("ready again")


async def _reasons(http: httpx.AsyncClient) -> list[str]:
    """Why the service is not ready; none when it is."""
    try:
        answer = await http.get("/readyz")
        reasons: list[str] = answer.json()["reasons"]
    except (httpx.RequestError, ValueError, KeyError, TypeError):
        return [_why_silent(http.base_url)]
    return reasons


def _why_silent(url: httpx.URL) -> str:
    if not _taken(url):
        return "the gateway does not answer yet"
    return (
        f"port {_port(url)} of {url.host} is taken by another process, and which one cannot be seen from here; end "
        "that one, or stop this service and choose another port with --port"
    )


def _taken(url: httpx.URL) -> bool:
    obstacle = why_not_listen(url.host, _port(url), beside_ours=True)
    return obstacle is not None and obstacle.errno == errno.EADDRINUSE


def _port(url: httpx.URL) -> int:
    return url.port or HTTP_PORT
