"""The body of a request, as far as it is wanted and as fast as it has to come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn

from litestar.types import Receive

from gateway.http.limits import Limits
from gateway.http.problems import BadRequest


async def read_body(declared: str | None, receive: Receive, limits: Limits) -> bytes:
    """A whole body.

    Args:
        declared: what the header `Content-Length` says.

    Raises:
        BadRequest: it is too large, which is found out before it is held, or comes too slowly.
    """
    if declared is not None and declared.isdecimal() and int(declared) > limits.body:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            body, more = b"", True
            while more:
                piece, more = await _next(receive)
                body += piece
                if len(body) > limits.body:
                    raise _too_large(limits)
    except TimeoutError as exc:
        raise _too_slow(limits) from exc
    return body


async def stream_body(receive: Receive, limits: Limits) -> AsyncIterator[bytes]:
    """A body of any size, piece by piece. Raises `BadRequest` when the next piece comes too slowly."""
    more = True
    while more:
        try:
            async with asyncio.timeout(limits.body_timeout_s):
                piece, more = await _next(receive)
        except TimeoutError as exc:
            raise _too_slow(limits) from exc
        yield piece


def check_json(body: bytes) -> None:
    """Refuse JSON that two readers would understand differently.

    Raises:
        BadRequest: it is not UTF-8, names a member twice, holds NaN or an infinity, is nested too deeply, or is
            no JSON at all.
    """
    try:
        _STRICT.decode(body.decode())
    except RecursionError as exc:
        raise BadRequest(422, "invalid", "the body is nested too deeply") from exc
    except ValueError as exc:
        raise BadRequest(422, "invalid", f"the body is no JSON: {exc}"[:300]) from exc


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise BadRequest(400, "disconnected", "the request ended before its body")
    return message.get("body", b""), message.get("more_body", False)


def _members(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands in it twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_number)


def _too_large(limits: Limits) -> BadRequest:
    return BadRequest(413, "too-large", f"a body holds at most {limits.body} bytes")


def _too_slow(limits: Limits) -> BadRequest:
    return BadRequest(408, "too-slow", f"the body did not come within {limits.body_timeout_s:.0f} s")
