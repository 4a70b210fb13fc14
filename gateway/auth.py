"""Who is calling, and what they may do. Deny by default: a route without a declared scope fails at start-up."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import jwt
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from gateway.local_key import ALGORITHM, AUDIENCE, ISSUER

LEEWAY_S = 30
REMEMBERED_TOKENS = 4_096
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat"]


class Scope(StrEnum):
    """What a token may allow, and `PUBLIC` for routes that need none."""

    COMMANDS = "commands:write"
    QUERIES = "queries:read"
    ADMIN = "admin"
    PUBLIC = "public"


TOKEN_SCOPES = (Scope.COMMANDS, Scope.QUERIES, Scope.ADMIN)


class Unauthenticated(Exception):
    """No token, or none that we accept; the message is safe to show."""


class InsufficientScope(Exception):
    """The token does not allow this."""

    def __init__(self, needed: Scope) -> None:
        super().__init__(needed)
        self.needed = needed


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, from a verified token."""

    subject: str
    scopes: frozenset[str]
    expires_at: float


class Verifier(Protocol):
    """Tells whether a token is good."""

    async def verify(self, token: str) -> Caller:
        """The caller that a token names. Raises `Unauthenticated`."""
        ...


class LocalVerifier:
    """Accepts tokens of the local key only."""

    def __init__(self, public_pem: bytes) -> None:
        self._key = public_pem

    async def verify(self, token: str) -> Caller:
        return _caller(token, self._key, [ALGORITHM], ISSUER, AUDIENCE)


class JwksVerifier:
    """Accepts tokens of an identity provider that publishes its keys. Asymmetric algorithms only."""

    def __init__(self, jwks_url: str, issuer: str, audience: str) -> None:
        self._keys = jwt.PyJWKClient(jwks_url, cache_jwk_set=True, lifespan=300, timeout=5)
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> Caller:
        try:
            key = await asyncio.to_thread(self._keys.get_signing_key_from_jwt, token)
        except jwt.PyJWTError as exc:
            raise Unauthenticated("the key that signed the token is not known") from exc
        return _caller(token, key, ASYMMETRIC, self._issuer, self._audience)


class RememberingVerifier:
    """Verifies each token once until it expires: a signature costs more than the rest of a query."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._known: OrderedDict[str, Caller] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        known = self._known.get(token)
        if known is not None and known.expires_at > time.time():
            return known
        caller = await self._verifier.verify(token)
        self._known[token] = caller
        if len(self._known) > REMEMBERED_TOKENS:
            self._known.popitem(last=False)
        return caller


class Guard:
    """Lets a request through to its route when its token has the route's scope."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        needed = _scope_of(handler)
        if needed is Scope.PUBLIC:
            return
        caller = await self._verifier.verify(bearer_token(connection.headers.getall("authorization", [])))
        if needed not in caller.scopes:
            raise InsufficientScope(needed)
        connection.scope["state"]["caller"] = caller


def bearer_token(headers: list[str]) -> str:
    """The token of a request. Raises `Unauthenticated` unless there is exactly one."""
    if len(headers) != 1:
        raise Unauthenticated("send one Authorization header with a bearer token")
    kind, _, token = headers[0].partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send the token as `Authorization: Bearer …`")
    return token.strip()


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


def _scope_of(handler: BaseRouteHandler) -> Scope:
    """The scope that a route declares; the framework's own answer to OPTIONS tells only methods."""
    if isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}:
        return Scope.PUBLIC
    return Scope(handler.opt["scope"])


def _caller(token: str, key: Any, algorithms: list[str], issuer: str, audience: str) -> Caller:
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_S,
            options={"require": _REQUIRED_CLAIMS},
        )
    except jwt.ExpiredSignatureError as exc:
        raise Unauthenticated("the token has expired") from exc
    except jwt.PyJWTError as exc:
        raise Unauthenticated("the token is not valid here") from exc
    return Caller(str(claims["sub"]), frozenset(str(claims.get("scope", "")).split()), float(claims["exp"]))
