"""The name of a request: in its answer, in problems, in logs, and in the events it leads to."""

from __future__ import annotations

import re
from typing import Any

from litestar.connection import ASGIConnection
from uuid_utils import uuid4

_SANE = re.compile(rb"[A-Za-z0-9._~-]{1,64}")


def request_id_from(given: bytes | None) -> str:
    """The caller's own id when it is a sane one, else one made here."""
    sane = _SANE.fullmatch(given) if given else None
    return sane[0].decode() if sane else uuid4().hex


def request_id_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The id that the door gave to a request."""
    request_id: str = connection.scope["state"]["request_id"]
    return request_id
