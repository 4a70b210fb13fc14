"""The log, as queries read it: what was, what is new, and whether somebody's memory of it is true."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from actors.store.event_store import EventStore, Mark, Marks, RecordedEvent, StoreUnavailable, positions_of

TIMEOUT_S = 5.0
PAGE = 500

# The log cannot be stopped, restored from a backup, started and owned again in less than this.
FASTEST_RESTORE_S = 1.0
# Tokens that are not in the log, whoever sends them and however many, do not make it connect more often.
CONNECTED_AT_LEAST_S = 1.0


class LostFuture(Exception):
    """The log was restored from a backup; what was read of it before no longer counts."""


class LogReader:
    """Asks the log. Connects on first use, and says soon that the log is slow or away.

    Args:
        open_log: connects; called again until it succeeds.
    """

    def __init__(self, open_log: Callable[[], Awaitable[EventStore]]) -> None:
        self._open_log = open_log
        self._store: EventStore | None = None
        self._opening = asyncio.Lock()
        self._seen: dict[int, Mark] = {}
        self._seen_until = 0.0
        self._writers: set[tuple[int, int]] = set()
        self._renewing = asyncio.Lock()
        self._renewed_at = -math.inf

    async def stream(self, stream: str, *, after_version: int, limit: int) -> Sequence[RecordedEvent]:
        """The next events of one actor.

        Raises:
            StoreUnavailable: the log is slow or away.
        """
        async with self._asking() as store:
            return await store.read_stream(stream, after_version=after_version, limit=limit)

    async def command(self, command_id: UUID) -> Sequence[RecordedEvent]:
        """What a command led to, oldest first. Raises as `stream`."""
        async with self._asking() as store:
            return await store.read_command(command_id)

    async def history(self, stream: str) -> AsyncGenerator[RecordedEvent]:
        """All events of one actor, oldest first. Raises as `stream`."""
        version = 0
        while page := await self.stream(stream, after_version=version, limit=PAGE):
            for event in page:
                yield event
            version = page[-1].version

    async def behind(self, after: Marks, *, limit: int) -> Sequence[RecordedEvent]:
        """The next events of some partitions, at most `limit` of each.

        Raises:
            LostFuture: those that they are asked to follow are no longer in the log.
            StoreUnavailable: as `stream`.
        """
        async with self._asking() as store:
            events = await store.read_partitions(positions_of(after), limit=limit)
        # Whoever writes after a restore has an epoch of his own; nothing else changes an epoch often.
        others = {each.partition: after[each.partition] for each in events if each.epoch != after[each.partition].epoch}
        if not await self.has({partition: mark for partition, mark in others.items() if mark.position}):
            raise LostFuture
        return events

    async def heads(self) -> Marks:
        """The mark of the last event of each partition; at 0 when it is empty. Raises as `stream`."""
        async with self._asking() as store:
            heads = await store.heads()
            return dict.fromkeys(heads, Mark(0, 0)) | dict(await store.marks(heads))

    async def has(self, marks: Marks) -> bool:
        """Whether these events are in the log, and so everything before them. Raises as `stream`.

        Not so for marks of a future that was lost when the log was restored from a backup.
        """
        self._forget()
        new = {partition: mark for partition, mark in marks.items() if not self._has_seen(partition, mark)}
        if not new:
            return True
        asked_at = asyncio.get_running_loop().time()
        there = await self._marks(new)
        if there != new:
            await self._connect_anew(asked_at)
            there = await self._marks(new)
        await self._meet({(partition, mark.epoch) for partition, mark in there.items()})
        self._seen |= there
        return there == new

    async def close(self) -> None:
        """Let go of the log."""
        if self._store is not None:
            await self._store.close()

    def _has_seen(self, partition: int, mark: Mark) -> bool:
        seen = self._seen.get(partition)
        return seen is not None and seen.epoch == mark.epoch and seen.position >= mark.position

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._seen_until:
            self._seen, self._seen_until = {}, now + FASTEST_RESTORE_S

    async def _marks(self, marks: Marks) -> Marks:
        async with self._asking() as store:
            return await store.marks(positions_of(marks))

    async def _connect_anew(self, asked_at: float) -> None:
        """From now on, ask on connections that are newer than `asked_at`.

        The address may lead to another server now, and connections to the former one may live on.
        """
        loop = asyncio.get_running_loop()
        async with self._renewing:
            if self._renewed_at <= asked_at:
                await asyncio.sleep(self._renewed_at + CONNECTED_AT_LEAST_S - loop.time())
                self._renewed_at = loop.time()
                async with self._asking() as store:
                    await store.connect_anew()

    async def _meet(self, writers: set[tuple[int, int]]) -> None:
        """Partitions and epochs of events. A new one may write on another server, which not all connections lead to."""
        if not writers <= self._writers:
            async with self._asking() as store:
                await store.connect_anew()
            self._writers |= writers

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[EventStore]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield await self._opened()
        except TimeoutError as exc:
            raise StoreUnavailable("the log does not answer in time") from exc

    async def _opened(self) -> EventStore:
        async with self._opening:
            if self._store is None:
                self._store = await self._open_log()
        return self._store
