"""Pages of keyset paging, and the cursors between them: where a page ended, opaque for everyone outside.

A cursor names the last row by the values that order the rows, so pages neither repeat nor skip a row that does not
move, whatever is written meanwhile.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from projections.errors import InvalidCursor

R = TypeVar("R")
C = TypeVar("C", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows in order; `next_cursor` leads to those after them, None at the end."""

    items: Sequence[R]
    next_cursor: str | None


def cut(rows: Sequence[R], limit: int, cursor: Callable[[R], msgspec.Struct]) -> Page[R]:
    """A page of `limit` rows from one row more than that, where there is one.

    Args:
        cursor: the values by which the page after a row is found.
    """
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], write_cursor(cursor(rows[limit - 1])))


def write_cursor(end: msgspec.Struct) -> str:
    """A cursor for the values by which the next page is found."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(end)).rstrip(b"=").decode()


def read_cursor(text: str, kind: type[C]) -> C:
    """The values in a cursor.

    Raises:
        InvalidCursor: it was not written for this kind of page.
    """
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=kind)
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError) as exc:
        raise InvalidCursor from exc
