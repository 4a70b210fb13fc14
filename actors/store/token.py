"""What is signed with the secret of a store: consistency tokens, and ids that belong to a name.

A token is partition → mark, opaque for everyone outside. It says "everything up to here". It is signed, so that a
made-up token, or one of another store, is told from a real one. Its epochs tell a token of a lost future: see `Mark`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

import msgspec
import uuid_utils

from actors.store.event_store import Mark, Marks, StoreInfo

_SIGNATURE_BYTES = 9

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[int, dict[int, int]])


class InvalidToken(Exception):
    """The text is no token of this store, or it names events that the store no longer has."""


class TokenCodec:
    """Writes and reads the tokens of one store, and makes its ids."""

    def __init__(self, info: StoreInfo) -> None:
        self._key = info.secret

    def encode(self, marks: Marks) -> str:
        """A token for these marks; partitions at 0 are left out."""
        # By epoch, because the partitions of one silo mostly share it.
        by_epoch: dict[int, dict[int, int]] = {}
        for partition, mark in marks.items():
            if mark.position:
                by_epoch.setdefault(mark.epoch, {})[partition] = mark.position
        body = _encoder.encode(by_epoch)
        return base64.urlsafe_b64encode(self._sign(body) + body).rstrip(b"=").decode()

    def decode(self, token: str) -> Marks:
        """The marks in a token, by partition.

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
        by_epoch = _decoder.decode(body)
        return {
            partition: Mark(position, epoch)
            for epoch, positions in by_epoch.items()
            for partition, position in positions.items()
        }

    def id_of(self, name: str) -> UUID:
        """The id of a name: always the same, and nobody can make it who lacks the secret. A UUID of version 8."""
        digest = hashlib.blake2b(name.encode(), key=self._key, digest_size=16, person=b"id of a name").digest()
        parts = digest[:6], digest[6:8], digest[8:]
        return UUID(int=uuid_utils.uuid8(*(int.from_bytes(part) for part in parts)).int)

    def _sign(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_SIGNATURE_BYTES).digest()
