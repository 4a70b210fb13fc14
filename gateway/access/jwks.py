"""The published keys of an identity provider, and what happens while it is away.

The set is fetched again before it is `TTL_S` old, beside the requests; a set that old is waited for. When the
provider does not answer, or answers nonsense, the last good set stays. An unknown key id leads to one fetch, and
then to none for `RETRY_S`, however many unknown ids come.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import httpx
import jwt

from gateway.access.token_verifier import ASYMMETRIC, TokenVerifier, Unauthenticated, Verifier

TTL_S = 300.0
REFRESH_S = 240.0
RETRY_S = 30.0
FETCH_TIMEOUT_S = 5.0
LARGEST_SET = 256 * 1024
LONGEST_LIFETIME_S = 86_400.0

log = logging.getLogger(__name__)

_KINDS = {
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}

Fetch = Callable[[], Awaitable[bytes]]
_KeySet = Mapping[tuple[str, str], jwt.PyJWK]


class KeysUnavailable(Exception):
    """The provider did not answer, or not with a set of keys."""


class Jwks:
    """The keys of one provider, as last fetched.

    Args:
        fetch: gets the JSON of the set; raises `KeysUnavailable`.
        now: seconds of a clock that never jumps.
    """

    def __init__(self, fetch: Fetch, *, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._now = now
        self._keys: _KeySet = {}
        self._texts: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str) -> jwt.PyJWK:
        age = self._now() - self._fetched_at
        if age >= REFRESH_S and self._may_try():
            self._begin()
        if self._fetching is not None and (age >= TTL_S or (kid, algorithm) not in self._keys):
            await asyncio.shield(self._fetching)
        key = self._keys.get((kid, algorithm))
        if key is None and self._may_try():
            self._begin()
            assert self._fetching is not None, "it has just begun"  # noqa: S101
            await asyncio.shield(self._fetching)
            key = self._keys.get((kid, algorithm))
        if key is None:
            raise Unauthenticated(
                "the key that signed the token is not known; get a token from who signs for this service"
            )
        return key

    def _may_try(self) -> bool:
        return self._fetching is None and self._now() - self._tried_at >= RETRY_S

    def _begin(self) -> None:
        self._tried_at = self._now()
        self._fetching = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            self._take(await self._fetch())
            self._fetched_at = self._now()
        except KeysUnavailable as trouble:
            log.warning("the keys of the identity provider cannot be fetched", extra={"reason": str(trouble)})
        finally:
            self._fetching = None

    def _take(self, text: bytes) -> None:
        """Read a set; a key that is the same as before stays the same object."""
        fresh: dict[tuple[str, str], jwt.PyJWK] = {}
        texts: dict[str, jwt.PyJWK] = {}
        for entry in _entries(text):
            for algorithm in ASYMMETRIC:
                place = (entry["kid"], algorithm)
                if place in fresh or not _fits(entry, algorithm):
                    continue
                known = json.dumps([entry, algorithm], sort_keys=True)
                key = self._texts.get(known) or _load(entry, algorithm)
                if key is not None:
                    fresh[place] = texts[known] = key
        self._keys, self._texts = fresh, texts


def provider_verifier(jwks_url: str, issuer: str, audience: str) -> Verifier:
    """Accepts access tokens of an identity provider that live for a day at most."""
    keys = Jwks(partial(fetch_set, jwks_url))
    return TokenVerifier(keys, issuer, audience, longest_lifetime_s=LONGEST_LIFETIME_S)


async def fetch_set(url: str) -> bytes:
    """The answer of a provider: no redirects, no more than `LARGEST_SET` bytes. Raises `KeysUnavailable`."""
    try:
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            httpx.AsyncClient(follow_redirects=False) as http,
            http.stream("GET", url, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise KeysUnavailable(f"it answers {response.status_code}")
            text = b""
            async for chunk in response.aiter_raw():
                text += chunk
                if len(text) > LARGEST_SET:
                    raise KeysUnavailable(f"it answers more than {LARGEST_SET} bytes")
            return text
    except (httpx.HTTPError, OSError, TimeoutError) as exc:
        raise KeysUnavailable(f"it does not answer: {exc or type(exc).__name__}") from exc


def _entries(text: bytes) -> list[dict[str, Any]]:
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise KeysUnavailable("it does not answer with a set of keys") from exc
    if not isinstance(entries, list):
        raise KeysUnavailable("it does not answer with a set of keys")
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("kid"), str)]


def _fits(entry: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a published key may verify signatures of an algorithm: its kind, curve, use and own algorithm."""
    kind, curve = _KINDS[algorithm]
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("kty") == kind
        and (curve is None or entry.get("crv") == curve)
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and entry.get("alg", algorithm) == algorithm
    )


def _load(entry: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError) as exc:
        log.warning("a key of the identity provider cannot be used", extra={"reason": type(exc).__name__})
        return None
