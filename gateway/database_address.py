"""The address of a database of somebody else: whether it can be one, and what is told of it, which is no secret."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

_HOSTS = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d+)?(,(\[[^\]]*\]|[^:\[\]]*)(:\d+)?)*")


def place_of(url: str) -> str:
    """Its hosts and their ports, or the folder of a socket; nothing of a user or a password.

    Raises:
        ValueError: the text is no address of a PostgreSQL database.
    """
    parts = urlsplit(url)
    # A `/`, `?` or `#` that stands as it is in a password ends the part with the hosts too early.
    broken = "@" in parts.path + parts.fragment or ("@" in parts.query and not parts.path)
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("postgresql", "postgres") or broken or _HOSTS.fullmatch(hosts) is None:
        raise ValueError("no address of a PostgreSQL database")
    return unquote(hosts) or parse_qs(parts.query).get("host", ["this machine"])[0]
