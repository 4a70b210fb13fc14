"""Who is calling, and what they may do. Deny by default: a route without a declared scope fails at start-up."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from gateway.access.rate import Rates
from gateway.access.token_verifier import Caller, Unauthenticated, Verifier

# Only the scheme is in any case: a whole token that is compared so takes six times as long.
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


class Scope(StrEnum):
    """What a token may allow, and `PUBLIC` for routes that need none."""

    COMMANDS = "commands:write"
    QUERIES = "queries:read"
    ADMIN = "admin"
    PUBLIC = "public"


TOKEN_SCOPES = (Scope.COMMANDS, Scope.QUERIES, Scope.ADMIN)


class InsufficientScope(Exception):
    """The token does not allow this."""

    def __init__(self, needed: Scope) -> None:
        super().__init__(needed)
        self.needed = needed


class Guard:
    """Lets a request through to its route when its token has the scope, and its subject sends no more than it may."""

    def __init__(self, verifier: Verifier, rates: Rates) -> None:
        self._verifier = verifier
        self._rates = rates
        self._policy = (b"ratelimit-policy", rates.policy.encode())

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        needed = _scope_of(handler)
        if needed is Scope.PUBLIC:
            return
        if b"access_token=" in connection.scope["query_string"]:
            raise Unauthenticated("a token does not belong into an address; send it in the header Authorization")
        caller = await self._verifier.verify(bearer_token(connection.headers.getall("authorization", [])))
        state = connection.scope["state"]
        state["caller"] = caller
        state["rate"] = [self._policy]
        left = self._rates.take(caller.subject)
        state["rate"] = [self._policy, (b"ratelimit", left.encode())]
        if needed not in caller.scopes:
            raise InsufficientScope(needed)


def bearer_token(headers: list[str]) -> str:
    """The token of a request. Raises `Unauthenticated` unless there is exactly one."""
    if len(headers) != 1:
        raise Unauthenticated("send one Authorization header with a bearer token")
    bearer = _BEARER.fullmatch(headers[0])
    if bearer is None:
        raise Unauthenticated("send the token as `Authorization: Bearer …`")
    return bearer[1]


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who is calling, on a route that is not public."""
    caller: Caller = connection.scope["state"]["caller"]
    return caller


def refuse_open_routes(app: Litestar) -> None:
    """Every route says which scope it needs. Raises `ValueError` for one that does not."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            try:
                _scope_of(handler)
            except KeyError as exc:
                raise ValueError(f"{route.path} declares no scope; write opt={{'scope': Scope.…}}") from exc


@cache
def _scope_of(handler: BaseRouteHandler) -> Scope:
    """The scope that a route declares; the framework's own answer to OPTIONS tells only methods."""
    if isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}:
        return Scope.PUBLIC
    return Scope(handler.opt["scope"])
