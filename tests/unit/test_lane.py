"""What a caller is told when no outcome comes: "not now" only when it is certain that nothing was done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from actors.runtime.lane import Lane, Lost, NotSent
from actors.runtime.wire import Later, NotNow, encode
from tests.identity_provider import Clock
from tests.in_process import command


async def is_silent() -> bytes:
    await asyncio.get_running_loop().create_future()
    return b""


async def cannot_be_read() -> bytes:
    return b"\xc1"


async def takes_long() -> bytes:
    return encode([Later(7)])


async def breaks() -> bytes:
    raise Lost("the line broke")


async def is_not_made() -> bytes:
    raise NotSent("the line is down")


async def ends_oddly() -> bytes:
    raise ZeroDivisionError


async def answers_too_many() -> bytes:
    return encode([NotNow("first"), NotNow("second")])


@pytest.mark.parametrize(
    ("call", "question", "outcome"),
    [
        (is_not_made, is_not_made, NotNow),
        (breaks, breaks, Lost),
        (is_silent, is_silent, Lost),
        (cannot_be_read, breaks, Lost),
        (ends_oddly, breaks, Lost),
        (answers_too_many, breaks, Lost),
        (takes_long, is_not_made, Lost),
        (takes_long, breaks, Lost),
        (takes_long, is_silent, Lost),
    ],
)
async def test_command_that_left_is_never_said_to_be_undone(
    call: Callable[[], Awaitable[bytes]], question: Callable[[], Awaitable[bytes]], outcome: type[NotNow | Lost]
) -> None:
    # A clock that stands, so that it is the call that ends, and not the patience of the caller.
    lane = Lane(lambda _: call(), lambda _: question(), Clock(time.time()))

    answer = await asyncio.wait_for(lane.send(command("open", patience_s=0.05)), 5)

    assert isinstance(answer, outcome)
