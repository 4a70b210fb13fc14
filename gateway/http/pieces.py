"""Answers that are sent piece by piece, for as long as somebody takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from litestar.types import Send

# A caller who takes nothing for so long is cut off.
SEND_TIMEOUT_S = 15.0


async def send_pieces(pieces: AsyncGenerator[bytes], headers: Sequence[tuple[bytes, bytes]], send: Send) -> None:
    """Send an answer. Its head leaves with the first piece: until then, whatever goes wrong is still a problem.

    Raises:
        TimeoutError: the caller takes nothing; to leave without the end of the answer cuts the connection off.
    """
    async with aclosing(pieces):
        piece = await anext(pieces, b"")
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while piece:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await anext(pieces, b"")
    await send({"type": "http.response.body", "body": b"", "more_body": False})
