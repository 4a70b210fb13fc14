"""Group commit: one batch is on its way to the log while the next one collects.

An idle journal sends a single command at once; a busy one sends whatever came meanwhile with one statement.
Nothing leaves the silo before a statement that checked ownership and began after the command arrived: replies
that wrote nothing ride on the append of their batch, or on a proof of their own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NoReturn
from uuid import UUID

from actors.process import Pulse
from actors.runtime.delivery import Entry
from actors.runtime.snapshots import Moment
from actors.runtime.turn import recall
from actors.store.event_store import RecordedEvent, WriteSession

MAX_ENTRIES = 1_000
MAX_BYTES = 4 * 1024 * 1024
PROOF_INTERVAL_S = 3.0


class Journal:
    """The commands of a silo that had their turn and wait for the log.

    Args:
        moved: called after each commit.
        pulse: told of each proof of ownership.
        keep: takes the moments that the log has, for snapshots.
    """

    def __init__(
        self,
        moved: Callable[[], None],
        pulse: Pulse,
        keep: Callable[[Moment], None],
    ) -> None:
        self._moved = moved
        self._pulse = pulse
        self._keep = keep
        self._waiting: deque[Entry] = deque()
        self._in_flight: list[Entry] = []
        self._alone = 0
        self._filled = asyncio.Event()
        self.batches: Counter[int] = Counter()

    def add(self, entry: Entry) -> None:
        """Queue an entry; it is committed in the order of these calls."""
        entry.activation.unsettled += 1
        self._waiting.append(entry)
        self._filled.set()

    def withdraw(self) -> tuple[list[Entry], list[Entry]]:
        """Empty the journal after `run` has raised: the entries that were on their way, and those behind them."""
        in_flight, waiting = self._in_flight, list(self._waiting)
        self._in_flight = []
        self._waiting.clear()
        self._filled.clear()
        return in_flight, waiting

    def one_by_one(self, entries: int) -> None:
        """Commit each of the next `entries` entries alone, to find the one that the log will not take."""
        self._alone = entries

    async def run(self, session: WriteSession) -> NoReturn:
        """Commit for ever; an idle journal proves its ownership from time to time.

        Raises:
            StoreError: as `WriteSession.append` and `WriteSession.prove`; then `withdraw` what is left.
        """
        while True:
            self._pulse.beat()
            try:
                async with asyncio.timeout(PROOF_INTERVAL_S):
                    await self._filled.wait()
            except TimeoutError:
                await session.prove()
                continue
            self._in_flight = self._take()
            await self._commit(session)

    def _take(self) -> list[Entry]:
        limit = 1 if self._alone else MAX_ENTRIES
        self._alone = max(0, self._alone - 1)
        count = size = 0
        command_ids: set[UUID] = set()
        for entry in islice(self._waiting, limit):
            if entry.turn.events:
                # The log refuses an id twice in one statement, and then has neither of them to show.
                if entry.delivery.envelope.command_id in command_ids:
                    break
                command_ids.add(entry.delivery.envelope.command_id)
            for event in entry.turn.events:
                size += len(event.data) + len(event.command or "")
            if count and size > MAX_BYTES:
                break
            count += 1
        taken = [self._waiting.popleft() for _ in range(count)]
        if not self._waiting:
            self._filled.clear()
        return taken

    async def _commit(self, session: WriteSession) -> None:
        events = [event for entry in self._in_flight for event in entry.turn.events]
        if events:
            positions = iter(await session.append(events))
            self.batches[1 << (len(self._in_flight) - 1).bit_length()] += 1
            self._release_written(session, positions)
            self._moved()
        if self._in_flight or not events:
            found = await session.prove([entry.delivery.envelope.command_id for entry in self._in_flight])
            self._release_unwritten(session, found)

    def _release_written(self, session: WriteSession, positions: Iterator[int]) -> None:
        unwritten = []
        for entry in self._in_flight:
            if not entry.turn.events:
                unwritten.append(entry)
                continue
            for _ in entry.turn.events[1:]:
                next(positions)
            self._release(entry, next(positions), session.epochs)
        self._in_flight = unwritten

    def _release_unwritten(self, session: WriteSession, found: Mapping[UUID, Sequence[RecordedEvent]]) -> None:
        unwritten, self._in_flight = self._in_flight, []
        for entry in unwritten:
            envelope = entry.delivery.envelope
            written = found.get(envelope.command_id)
            if written:
                entry.answer(recall(entry.activation, envelope, written))
            else:
                self._release(entry, session.heads[entry.activation.partition], session.head_epochs)

    def _release(self, entry: Entry, position: int, epochs: Mapping[int, int]) -> None:
        """Answer an entry of which the log has everything, up to `position`."""
        entry.release(position, epochs[entry.activation.partition])
        if entry.moment is not None:
            self._keep(entry.moment)
