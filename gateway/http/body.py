"""The body of a request, as far as it is wanted and as fast as it has to come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from math import isfinite
from typing import Any, NoReturn, TypeVar

from litestar.types import Receive
from pydantic import BaseModel, ValidationError

from actors.domain.json_text import from_json
from gateway.http.limits import Limits
from gateway.http.problems import BadRequest, invalid

LONGEST_LINE = 1024 * 1024

M = TypeVar("M", bound=BaseModel)


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
        raise _too_slow("the body", limits) from exc
    return body


async def read_lines(receive: Receive, limits: Limits) -> AsyncIterator[bytes | None]:
    """The lines of a body of any size, without empty ones; None stands for one that is too long.

    Raises:
        BadRequest: one comes too slowly. The time in which nobody asks for it does not count.
    """
    lines = _split(_pieces(receive))
    while True:
        try:
            async with asyncio.timeout(limits.body_timeout_s):
                line = await anext(lines)
        except StopAsyncIteration:
            return
        except TimeoutError as exc:
            raise _too_slow("the next line", limits) from exc
        yield line


def check_json(body: bytes) -> None:
    """Refuse JSON that two readers would understand differently.

    Raises:
        BadRequest: it is not UTF-8, names a member twice, holds NaN, an infinity or what would become one, is
            nested too deeply, or is no JSON at all.
    """
    try:
        _STRICT.decode(body.decode())
    except RecursionError as exc:
        raise invalid("the body is nested too deeply; send it with fewer levels") from exc
    except ValueError as exc:
        raise invalid(f"the body is no JSON: {exc}"[:300]) from exc


def read_json(model: type[M], body: bytes, at: str = "") -> M:
    """What a body says, or a part of one, `at` a JSON pointer. Raises `BadRequest`, which points at what is wrong."""
    try:
        return from_json(model, body)
    except ValidationError as exc:
        errors = [
            {"pointer": at + "".join(f"/{_escaped(part)}" for part in each["loc"]), "detail": each["msg"]}
            for each in exc.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise BadRequest(422, "invalid", "the body does not fit", errors) from exc


async def _split(body: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    rest, too_long = b"", False
    async for piece in body:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if too_long or len(line) > LONGEST_LINE:
                too_long = False
                yield None
            elif line.strip():
                yield line
        if len(rest) > LONGEST_LINE:
            rest, too_long = b"", True
    if too_long or len(rest) > LONGEST_LINE:
        yield None
    elif rest.strip():
        yield rest


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        piece, more = await _next(receive)
        yield piece


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise BadRequest(400, "disconnected", "the request ended before its body; send all of it")
    return message.get("body", b""), message.get("more_body", False)


def _members(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands in it twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(number: str) -> float:
    value = float(number)
    return value if isfinite(value) else _no_number(number)


def _escaped(part: str | int) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")


_STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_number, parse_float=_finite)


def _too_large(limits: Limits) -> BadRequest:
    return BadRequest(413, "too-large", f"a body holds at most {limits.body} bytes; send less at once")


def _too_slow(what: str, limits: Limits) -> BadRequest:
    return BadRequest(
        408, "too-slow", f"{what} did not come within {limits.body_timeout_s:.0f} s; send it again in one go"
    )
