"""Servers that tests write by hand: one that ends takes all that belongs to its connections with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Attend = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def listening(attend: Attend) -> AsyncIterator[int]:
    """Take connections on this machine until the block ends; gives the port.

    Args:
        attend: to one connection, which is closed when that returns. It is cancelled at the end of the block; an error
            in it ends the block.
    """
    attended: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not server.is_serving():
                writer.close()
                return
            task = group.create_task(attend(reader, writer))
            attended.add(task)
            task.add_done_callback(attended.discard)
            # Also of one that was cancelled before it began.
            task.add_done_callback(lambda _: writer.close())

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in attended:
                task.cancel()
