"""What an actor is called."""

from __future__ import annotations

import re

KEY_PATTERN = r"^[A-Za-z0-9._~-]{1,64}$"

_KEY = re.compile(r"[A-Za-z0-9._~-]{1,64}")


def check_key(key: str) -> str:
    """`key` itself, when an actor can be called so.

    Raises:
        ValueError: it is empty, longer than 64, or has a character that is unsafe in a URL.
    """
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"{key!r} is no id: use 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")
    return key
