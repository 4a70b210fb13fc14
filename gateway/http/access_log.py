"""One line of JSON for each request, without bodies, queries or tokens.

Lines are written to stdout of the process, which Ray keeps with its logs, a few times a second. When more come than
are written, the rest is counted and left out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, BinaryIO

import msgspec
from msgspec import UNSET, UnsetType

FLUSH_S = 0.25
MOST_LINES = 20_000

_encoder = msgspec.json.Encoder()


class _Line(msgspec.Struct, gc=False):
    at: float
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    subject: str | UnsetType
    client: str | UnsetType
    code: str | UnsetType


class AccessLog:
    """Collects lines and writes them together.

    Args:
        out: where to; stdout by default.
    """

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout.buffer
        self._lines: list[_Line] = []
        self._left_out = 0
        self._flush_due: asyncio.TimerHandle | None = None

    def add(self, scope: Any, status: int, took_s: float) -> None:
        """One request that ended; `status` is 0 when it was never answered."""
        if len(self._lines) >= MOST_LINES:
            self._left_out += 1
            return
        state = scope["state"]
        caller = state.get("caller")
        line = _Line(
            at=round(time.time(), 3),
            request_id=state["request_id"],
            method=scope["method"],
            path=scope["path"][:512],
            status=status,
            ms=round(took_s * 1000, 2),
            subject=UNSET if caller is None else caller.subject,
            client=UNSET if caller is None else caller.client,
            code=state.get("code", UNSET),
        )
        self._lines.append(line)
        if self._flush_due is None:
            self._flush_due = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write what has collected."""
        self._flush_due = None
        lines: list[Any] = self._lines
        if self._left_out:
            lines.append({"at": round(time.time(), 3), "left_out": self._left_out})
        self._lines, self._left_out = [], 0
        if lines:
            self._out.write(_encoder.encode_lines(lines))
            self._out.flush()
