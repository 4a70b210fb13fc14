"""An identity provider: makes keys, publishes them, signs tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.access.jwks import KeysUnavailable

ISSUER, AUDIENCE = "https://issuer.example", "rayleans-api"
NOW = 1_800_000_000.0

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Provider:
    """What a fake network serves as the keys of a provider; counts how often it is asked."""

    def __init__(self) -> None:
        self.private: dict[str, Private] = {}
        self.entries: list[dict[str, Any]] = []
        self.answer: bytes | None = None
        self.away = False
        self.fetched = 0

    async def fetch(self) -> bytes:
        self.fetched += 1
        if self.away:
            raise KeysUnavailable("it does not answer")
        return self.answer or json.dumps({"keys": self.entries}).encode()

    def publish(self, kid: str, private: Private | None = None, **members: Any) -> None:
        private = private or ec.generate_private_key(ec.SECP256R1())
        self.private[kid] = private
        public = private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            entry = RSAAlgorithm.to_jwk(public, as_dict=True)
        else:
            entry = ECAlgorithm.to_jwk(public, as_dict=True)
        self.entries.append({**entry, "kid": kid, **members})

    def withdraw(self, kid: str) -> None:
        self.entries = [entry for entry in self.entries if entry["kid"] != kid]

    def sign(
        self, kid: str, *, algorithm: str = "ES256", headers: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token that is good but for what `claims` and `headers` say otherwise; a claim that is None is left out."""
        usual = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "client_id": "shop",
            "scope": "queries:read",
            "iat": NOW,
            "exp": NOW + 600,
        }
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        # Not as a JWT, which PyJWT would refuse to make of some of these claims.
        return jwt.PyJWS().encode(
            json.dumps(payload).encode(),
            self.private[kid],
            algorithm=algorithm,
            headers={"kid": kid, "typ": "at+jwt", **(headers or {})},
        )
