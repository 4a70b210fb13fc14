"""The name of a request: in its answer, in problems, in logs, and in the events it leads to."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from litestar.connection import ASGIConnection

REQUEST_ID_HEADER = "Request-Id"

_SANE = re.compile(r"[A-Za-z0-9._~-]{1,64}")


def request_id_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The caller's own id when it is a sane one, else one made here; the same for the whole request."""
    state = connection.scope["state"]
    known: str | None = state.get("request_id")
    if known is None:
        given = connection.headers.get(REQUEST_ID_HEADER, "")
        known = given if _SANE.fullmatch(given) else uuid4().hex
        state["request_id"] = known
    return known
