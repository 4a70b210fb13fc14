"""Consistency tokens: partition → position, opaque and signed for everyone outside.

A token says "everything up to here". It is signed with the secret of its store, so that a made-up token, or one
of another store, is told from a real one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from actors.store.event_store import StoreInfo

_SIGNATURE_BYTES = 9


class InvalidToken(Exception):
    """The text is no token of this store."""


class TokenCodec:
    """Writes and reads the tokens of one store."""

    def __init__(self, info: StoreInfo) -> None:
        self._key = info.secret

    def encode(self, positions: Mapping[int, int]) -> str:
        """A token for these positions; partitions at 0 are left out."""
        body = ".".join(f"{p:x}-{positions[p]:x}" for p in sorted(positions) if positions[p]).encode()
        return base64.urlsafe_b64encode(self._sign(body) + body).rstrip(b"=").decode()

    def decode(self, token: str) -> Mapping[int, int]:
        """The positions in a token, by partition.

        Raises:
            InvalidToken: it was not written by this store.
        """
        try:
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error) as exc:
            raise InvalidToken from exc
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body)):
            raise InvalidToken
        pairs = (pair.split("-") for pair in body.decode().split(".") if pair)
        return {int(partition, 16): int(position, 16) for partition, position in pairs}

    def _sign(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_SIGNATURE_BYTES).digest()
