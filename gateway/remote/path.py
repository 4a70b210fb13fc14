"""Ids and names as parts of the path of a request, which leads nowhere else whatever they are."""

from __future__ import annotations

from urllib.parse import quote

from actors.domain.actor_id import check_key


def key_in_path(key: str) -> str:
    """The id of an actor. Raises `ValueError` when none can be called so."""
    return in_path(check_key(key))


def in_path(name: str) -> str:
    """Text with any characters. Raises `ValueError` when it is empty: the path would be that of all."""
    if not name:
        raise ValueError("a name in a path must not be empty")
    # A dot alone, or two, are ids; in a path they stand for the folder and the one above.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")
