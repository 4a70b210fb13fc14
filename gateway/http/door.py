"""What every request passes on its way in and out, whatever its route: checks that need no route, headers, the log.

Plain ASGI around the framework, so that it costs little and also holds for what the framework refuses by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from itertools import chain
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from actors.errors import Overloaded, Unavailable
from gateway.http.access_log import AccessLog
from gateway.http.limits import Limits
from gateway.http.places import Place, Places
from gateway.http.problems import BadRequest, Problem, problem_of
from gateway.http.request_id import request_id_from
from gateway.metrics import Metrics

log = logging.getLogger(__name__)

# Whoever asks there starts the process anew when it does not answer, which is no cure for too many requests.
LIVENESS = "/healthz"

_HEADERS = [
    # Instead of the name of the HTTP server.
    (b"server", b"rayleans"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
]
_API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NO_STORE = (b"cache-control", b"no-store")
# Made once, because floods are answered with them.
_STOPPING = problem_of(Unavailable("this gateway is being stopped"))
_FULL = problem_of(Overloaded("too many requests are waiting"))


class Door:
    """An ASGI app around the app of the routes.

    Args:
        hosts: the names that requests may call this service by, in small letters; a request for another name was
            led here by somebody else's DNS.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, hosts: Collection[str], access_log: AccessLog, metrics: Metrics
    ) -> None:
        self._app = app
        self._limits = limits
        self._hosts = frozenset(hosts)
        self._access_log = access_log
        self._metrics = metrics
        self._places = Places(limits)
        self._closing = False
        metrics.watch(lambda: self._places.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, send, last=lambda: self._closing)
        refusal = self._refusal(scope["path"])
        if refusal is not None:
            await passage.refuse(refusal)
            self._note(scope, passage)
            return
        place = Place(self._places, receive)
        passage.on_answer = place.leave
        try:
            self._check(scope, passage.headers)
            await self._app(scope, place.receive, passage.send)
        except Exception as exc:  # noqa: BLE001 - nothing may leave here without an answer
            await passage.fail(exc)
        finally:
            passage.release()
            self._note(scope, passage)

    def close(self) -> None:
        """Take no more requests, and tell all callers so: each answer is the last one on its connection."""
        self._closing = True

    def _refusal(self, path: str) -> Problem | None:
        if self._closing:
            return _STOPPING
        if self._places.full and path != LIVENESS:
            return _FULL
        return None

    def _note(self, scope: Any, passage: _Passage) -> None:
        took_s = time.perf_counter() - passage.began
        self._access_log.add(scope, passage.status, took_s)
        self._metrics.request(scope["method"], scope.get("path_template"), passage.status, took_s)

    def _check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        query: bytes = scope["query_string"]
        if len(scope["raw_path"]) + len(query) + bool(query) > self._limits.address:
            raise BadRequest(
                414, "address-too-long", f"an address holds at most {self._limits.address} bytes; ask for less"
            )
        if sum(map(len, chain.from_iterable(scope["headers"]))) > self._limits.head:
            raise BadRequest(
                431, "headers-too-large", f"the headers hold at most {self._limits.head} bytes; send fewer"
            )
        if len(headers) < len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"host") > 1:
            raise BadRequest(400, "ambiguous", "a request has one Host; send one")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _without_port(host) not in self._hosts:
            raise BadRequest(
                421,
                "wrong-host",
                "this service is not called so; use its name, or allow this one with RAYLEANS_ALLOWED_HOSTS",
            )
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise BadRequest(415, "unsupported-media-type", "send the body as it is, without a Content-Encoding")


class _Passage:
    """One request on its way through the door."""

    __slots__ = ("_last", "_scope", "_send", "began", "headers", "on_answer", "request_id", "status")

    def __init__(self, scope: Any, send: Send, *, last: Callable[[], bool]) -> None:
        self._last = last
        self.headers = dict(scope["headers"])
        self.request_id = request_id_from(self.headers.get(b"request-id"))
        self.on_answer: Any = None
        scope["state"] = {"request_id": self.request_id}
        self._scope = scope
        self._send = send
        self.began = time.perf_counter()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._complete(list(message["headers"]))
            self.release()
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer with the problem of an error, unless the answer has begun: then it is cut off."""
        if self.status:
            log.error("answer broke off", extra={"request_id": self.request_id}, exc_info=error)
            raise error
        problem = problem_of(error)
        if problem.status == 500:
            log.error("request failed", extra={"request_id": self.request_id}, exc_info=error)
        await self.refuse(problem)

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem."""
        self._scope["state"]["code"] = problem.code
        head, body = problem.messages(self.request_id)
        await self.send(head)
        await self._send(body)

    def release(self) -> None:
        """It waits no longer, if it did."""
        if self.on_answer is not None:
            self.on_answer()
            self.on_answer = None

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name for name, _ in headers}
        headers += _HEADERS
        headers.append((b"request-id", self.request_id.encode()))
        if b"content-security-policy" not in names:
            headers.append(_API_POLICY)
        if b"cache-control" not in names:
            headers.append(_NO_STORE)
        if self._last() and b"connection" not in names:
            headers.append((b"connection", b"close"))
        rate = self._scope["state"].get("rate")
        if rate is not None:
            headers += rate
        return headers


def _without_port(host: str) -> str:
    """The name in a `Host` header: `[::1]:8700` is `[::1]`."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not host.endswith("]") else host
