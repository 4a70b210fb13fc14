"""The latest command ids of an actor in as little memory as they take: 16 bytes each, oldest first, in one value."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

MOST = 16
NONE = b""

_ID = 16


def packed(ids: Iterable[UUID]) -> bytes:
    """These ids, oldest first."""
    return b"".join(each.bytes for each in ids)


def unpacked(recent: bytes) -> tuple[UUID, ...]:
    """The ids, oldest first."""
    return tuple(UUID(bytes=recent[start : start + _ID]) for start in range(0, len(recent), _ID))


def with_another(recent: bytes, command_id: UUID) -> bytes:
    """The ids after one more; the oldest is forgotten when they are too many."""
    return recent[(1 - MOST) * _ID :] + command_id.bytes


def hold(recent: bytes, command_id: UUID) -> bool:
    """Whether an id is one of them. What begins in the middle of one id and ends in the next is none."""
    wanted = command_id.bytes
    place = recent.find(wanted)
    while place > 0 and place % _ID:
        place = recent.find(wanted, place + 1)
    return place >= 0
