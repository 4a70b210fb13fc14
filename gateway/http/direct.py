"""Routes for which the framework is too slow: commands, and queries for one thing.

Their handlers are ordinary ones, declared with `opt={"direct": True}`, and the framework could serve them as well.
Here they are called when nothing of the framework is needed: an address `/v1/{collection}/{id}[/{rest}]` without a
query. What it costs is a dictionary look-up; `gateway/bench/http.py` measures what it saves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, NamedTuple

from litestar import Litestar, Request, Response
from litestar.datastructures import Headers
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.access.auth import Guard
from gateway.http.problems import answer

Place = tuple[str, str, str]


class _Route(NamedTuple):
    handler: HTTPRouteHandler
    call: Callable[..., Awaitable[Response[Any]]]
    parameter: str
    template: str


class _Request(Request[Any, Any, Any]):
    """A request whose headers are looked at in any case."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._headers = Headers(scope["headers"])

    @property
    def headers(self) -> Headers:
        return self._headers


class DirectRoutes:
    """An ASGI app that serves some routes of a framework's app by itself, and leaves the others to it."""

    def __init__(self, app: Litestar, guard: Guard) -> None:
        self._app: ASGIApp = app
        self._guard = guard
        self._litestar = app
        self._routes = {
            _place(method, route.path): _Route(handler, handler.fn, _parameter(route.path), route.path_format)
            for route in app.routes
            for handler in getattr(route, "route_handlers", [])
            if handler.opt.get("direct")
            for method in handler.http_methods
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._find(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["path_template"] = route.template
        scope["litestar_app"] = self._litestar
        request = _Request(scope, receive, send)
        try:
            await self._guard(request, route.handler)
            response = await route.call(request, **{route.parameter: scope["path"].split("/")[3]})
        except Exception as exc:  # noqa: BLE001 - as the framework does: every error has an answer
            response = answer(request, exc)
        await _send(response, send)

    def _find(self, scope: Any) -> _Route | None:
        if scope["type"] != "http" or scope["query_string"]:
            return None
        parts = scope["path"].split("/")
        if len(parts) not in (4, 5) or parts[1] != "v1" or not parts[3]:
            return None
        return self._routes.get((scope["method"], parts[2], parts[4] if len(parts) == 5 else ""))


async def _send(response: Response[Any], send: Send) -> None:
    body: bytes = response.content
    status = response.status_code or 200
    headers = [(_name(name), value.encode("latin-1")) for name, value in response.headers.items()]
    if status != 304:
        headers.append((b"content-type", str(response.media_type).encode()))
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@cache
def _name(header: str) -> bytes:
    return header.lower().encode()


def _place(method: str, path: str) -> Place:
    """Where `/v1/{collection}/{id}/{rest}` is kept. Raises `ValueError` for a route of another shape."""
    parts = path.split("/")
    if len(parts) not in (4, 5) or parts[1] != "v1" or not parts[3].startswith("{"):
        raise ValueError(f"{path} cannot be direct: it is not /v1/{{collection}}/{{id}} or one part longer")
    return method, parts[2], parts[4] if len(parts) == 5 else ""


def _parameter(path: str) -> str:
    return path.split("/")[3].strip("{}").partition(":")[0]
