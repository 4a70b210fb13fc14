"""The signing key of a service that has no identity provider, and the tokens it signs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as load_pem
from cryptography.hazmat.primitives.serialization import load_pem_public_key as load_public_pem
from jwt.algorithms import OKPAlgorithm

from gateway.access.token_verifier import TokenVerifier, Unauthenticated, Verifier

ISSUER = AUDIENCE = "rayleans"
ALGORITHM = "EdDSA"


class LocalKeyError(Exception):
    """The key cannot be read or made; the message says where and why."""


class LocalKey:
    """An Ed25519 key in the data directory; whoever can read it can make any token."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def load(cls, data: Path) -> LocalKey:
        """The key of a data directory.

        Raises:
            LocalKeyError: there is none, or it cannot be read.
        """
        path = data / "signing-key.pem"
        try:
            private = load_pem(path.read_bytes(), password=None)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise LocalKeyError(f"cannot read the signing key {path}: {why}. `rayleans serve` makes one.") from exc
        if not isinstance(private, Ed25519PrivateKey):
            raise LocalKeyError(f"{path} is no Ed25519 key; remove it, and `rayleans serve` makes a new one")
        return cls(private)

    @classmethod
    def make_or_load(cls, data: Path) -> LocalKey:
        """The key of a data directory, made now if there is none. Raises as `load`."""
        path = data / "signing-key.pem"
        if not path.exists():
            private = Ed25519PrivateKey.generate()
            write_secret(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cls.load(data)

    @property
    def public_pem(self) -> bytes:
        """What verifies its tokens."""
        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def mint(self, subject: str, scopes: Sequence[str], lifetime: timedelta) -> str:
        """A token that lets `subject` do what `scopes` say."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(scopes),
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"typ": "at+jwt"})


class LocalKeys:
    """The one key of a service that signs its own tokens."""

    def __init__(self, public_pem: bytes) -> None:
        public = load_public_pem(public_pem)
        assert isinstance(public, Ed25519PublicKey), "a local key is of this kind"  # noqa: S101
        self._key = jwt.PyJWK(OKPAlgorithm.to_jwk(public, as_dict=True), ALGORITHM)

    async def find(self, kid: str, algorithm: str) -> jwt.PyJWK:
        if kid or algorithm != ALGORITHM:
            raise Unauthenticated(
                "the key that signed the token is not known; get a token from who signs for this service"
            )
        return self._key


def local_verifier(public_pem: bytes) -> Verifier:
    """Accepts tokens of the local key only, however long they live."""
    return TokenVerifier(LocalKeys(public_pem), ISSUER, AUDIENCE)


def write_secret(path: Path, content: bytes) -> None:
    """Put a file that only its owner may read in its place, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        fresh.replace(path)
    except OSError as exc:
        raise LocalKeyError(f"cannot write {path}: {exc.strerror}") from exc
