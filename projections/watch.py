"""Waiting for a view to get somewhere, without asking again and again.

Each commit of a projection sends a notification in the read database. One connection listens; a notification
leads to one look at the checkpoint, however many wait. Whoever has waited for a while calls the projection, which may
be taking its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from actors.store.driver import SERVER
from actors.store.sql_files import load_queries
from projections.errors import ViewsUnavailable
from projections.read_store import unavailable

CHANNEL = "rayleans_views"
CONNECT_TIMEOUT_S = 5.0
POLL_S = 0.25
# Longer than a round of a projection that has something to do.
CALL_AFTER_S = 0.04

_SQL = load_queries("projections", "projections.sql")


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for a view to have everything up to `positions`, and calls it at a time of the loop."""

    positions: Mapping[int, int]
    there: asyncio.Future[None]
    calls_at: float


class Watch:
    """Watches the checkpoints of views while somebody waits for them.

    Args:
        url: of the read database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiters: dict[str, set[Waiter]] = {}
        self._news = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._anew = False

    async def wait_until(self, name: str, positions: Mapping[int, int], timeout_s: float) -> bool:
        """Whether the view `name` has everything up to `positions`, now or within `timeout_s` seconds."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(positions, loop.create_future(), loop.time() + CALL_AFTER_S)
        self._waiters.setdefault(name, set()).add(waiter)
        self._news.set()
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._watch())
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.there
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiters[name].discard(waiter)

    def connect_anew(self) -> None:
        """Watch on another connection from now on."""
        self._anew = True
        self._news.set()

    async def close(self) -> None:
        """Stop watching."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    async def _watch(self) -> None:
        """Listen for ever; connect anew after a loss. Whoever waits meanwhile runs into a time-out."""
        retrying = AsyncRetrying(retry=retry_if_exception_type(ViewsUnavailable), wait=wait_fixed(POLL_S))
        while True:
            await retrying(self._listen)

    async def _listen(self) -> None:
        """Until another connection is wanted."""
        self._anew = False
        with unavailable("cannot watch the views"):
            connection = await asyncpg.connect(
                self._url,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=CONNECT_TIMEOUT_S,
                target_session_attrs=SERVER,
            )
            try:
                await connection.add_listener(CHANNEL, lambda *_: self._news.set())
                while not self._anew:
                    self._news.clear()
                    await self._look(connection)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._pause_s()):
                            await self._news.wait()
            finally:
                connection.terminate()

    def _pause_s(self) -> float | None:
        """Until somebody calls, or it is time to look all the same; None = nobody waits."""
        calls = [each.calls_at for waiters in self._waiters.values() for each in waiters if not each.there.done()]
        return max(0.0, min(POLL_S, min(calls) - asyncio.get_running_loop().time())) if calls else None

    async def _look(self, connection: asyncpg.Connection) -> None:
        for name in [name for name, waiters in self._waiters.items() if waiters]:
            rows = await connection.fetch(_SQL["served_checkpoint"], name)
            checkpoint = {row["partition"]: row["position"] for row in rows}
            for waiter in self._waiters[name]:
                # A view that is not served yet is nowhere, not even at the beginning.
                there = all(checkpoint.get(each, -1) >= position for each, position in waiter.positions.items())
                if there and not waiter.there.done():
                    waiter.there.set_result(None)
            await self._call(name, connection)

    async def _call(self, name: str, connection: asyncpg.Connection) -> None:
        now = asyncio.get_running_loop().time()
        late = [each for each in self._waiters[name] if not each.there.done() and each.calls_at <= now]
        for waiter in late:
            waiter.calls_at = now + POLL_S
        if late:
            await connection.execute(_SQL["call"], name)
