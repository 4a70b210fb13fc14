from __future__ import annotations

from uuid import UUID

from actors.store.event_store import StoreInfo
from actors.store.token import TokenCodec


def codec(secret: bytes) -> TokenCodec:
    return TokenCodec(StoreInfo(UUID(int=1), secret, 16))


def test_d5_id_of_a_name_is_the_same_everywhere_and_only_the_store_can_make_it() -> None:
    ours, theirs = codec(b"a" * 32), codec(b"b" * 32)

    assert ours.id_of("bob\nkey") == codec(b"a" * 32).id_of("bob\nkey")
    assert len({ours.id_of("bob\nkey"), ours.id_of("eve\nkey"), theirs.id_of("bob\nkey")}) == 3
    assert ours.id_of("bob\nkey").version == 8
