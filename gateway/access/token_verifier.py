"""Whether a token is good. PyJWT does the cryptography; which tokens we accept is decided here.

A signature costs more than a whole query, so it is checked once. What is remembered of it is only that this key
signed this token; on every request the key must still be published, and the times must still fit.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

LEEWAY_S = 30
REMEMBERED_TOKENS = 4_096
LONGEST_TOKEN = 8_192
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

# NUL, which PostgreSQL cannot hold, and halves of characters, which JSON can name and UTF-8 cannot.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat"]
_ACCESS_TOKEN_TYPES = {"at+jwt", "application/at+jwt", "jwt", ""}
_ONLY_IN_ID_TOKENS = {"nonce", "at_hash", "c_hash"}
_LATEST = float("inf")


class Unauthenticated(Exception):
    """No token, or none that we accept; the message is safe to show."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, from a verified token.

    Attributes:
        client: the program that the token was given to; empty when the token does not say.
        expires_at: Unix time in seconds.
    """

    subject: str
    client: str
    scopes: frozenset[str]
    expires_at: float


class Keys(Protocol):
    """The public keys that may have signed a token."""

    async def find(self, kid: str, algorithm: str) -> jwt.PyJWK:
        """The key of this id for this algorithm. Raises `Unauthenticated` when there is none."""
        ...


class Verifier(Protocol):
    """Tells whether a token is good."""

    async def verify(self, token: str) -> Caller:
        """The caller that a token names. Raises `Unauthenticated`."""
        ...


@dataclass(frozen=True, slots=True)
class _Signed:
    """A token whose signature was checked."""

    kid: str
    algorithm: str
    key: jwt.PyJWK
    not_before: float
    caller: Caller


class TokenVerifier:
    """Accepts access tokens of one issuer for one audience.

    Args:
        keys: of the issuer.
        longest_lifetime_s: tokens that live longer are refused; None = any.
        now: Unix time in seconds.
    """

    def __init__(
        self,
        keys: Keys,
        issuer: str,
        audience: str,
        *,
        longest_lifetime_s: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._longest_lifetime_s = longest_lifetime_s or _LATEST
        self._now = now
        self._known: OrderedDict[str, _Signed] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        known = self._known.get(token)
        if known is None or await self._keys.find(known.kid, known.algorithm) is not known.key:
            known = await self._check(token)
            self._remember(token, known)
        now = self._now()
        if known.caller.expires_at + LEEWAY_S < now:
            raise Unauthenticated("the token has expired; get a new one")
        if known.not_before - LEEWAY_S > now:
            raise Unauthenticated(
                "the token is not valid yet; wait, or compare the clocks of who made it and of this service"
            )
        return known.caller

    def _remember(self, token: str, signed: _Signed) -> None:
        self._known[token] = signed
        if len(self._known) > REMEMBERED_TOKENS:
            self._known.popitem(last=False)

    async def _check(self, token: str) -> _Signed:
        self._known.pop(token, None)
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("the token is too long; get one with less in it")
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = _of_access_token(header)
            key = await self._keys.find(kid, algorithm)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                # The times are checked on each request, by the clock of this verifier.
                options={"require": _REQUIRED_CLAIMS, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError as exc:
            raise Unauthenticated("the token is not valid here; get one from who signs for this service") from exc
        return self._signed(kid, algorithm, key, claims)

    def _signed(self, kid: str, algorithm: str, key: jwt.PyJWK, claims: Mapping[str, Any]) -> _Signed:
        if not claims["sub"] or _ONLY_IN_ID_TOKENS & claims.keys():
            raise Unauthenticated("the token is not an access token; send the one that is for calling services")
        client = str(claims.get("client_id") or claims.get("azp") or "")
        if _UNWRITABLE.search(claims["sub"] + client):
            raise Unauthenticated("the token names somebody by text that cannot be written")
        issued, expires = _moment(claims["iat"]), _moment(claims["exp"])
        if expires - issued > self._longest_lifetime_s:
            raise Unauthenticated("the token lives longer than this service allows; get one that lives shorter")
        caller = Caller(
            subject=claims["sub"],
            client=client,
            scopes=frozenset(str(claims.get("scope", "")).split()),
            expires_at=expires,
        )
        return _Signed(kid, algorithm, key, max(issued, _moment(claims.get("nbf", issued))), caller)


def _of_access_token(header: Mapping[str, Any]) -> tuple[str, str]:
    """The key id and the algorithm of a token that may be one of ours; other members, such as `jku`, mean nothing."""
    kind, kid, algorithm = header.get("typ", ""), header.get("kid", ""), header.get("alg")
    if not isinstance(kind, str) or kind.lower() not in _ACCESS_TOKEN_TYPES:
        raise Unauthenticated("the token is not an access token; send the one that is for calling services")
    if not isinstance(kid, str) or algorithm not in ASYMMETRIC:
        raise Unauthenticated("the token is not signed with a key that can be published")
    return kid, algorithm


def _moment(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        raise Unauthenticated("a time in the token is not a number")
    return float(value)
