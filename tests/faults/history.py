"""What clients saw, held against what is in the log."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from actors.runtime.wire import Done
from actors.store.event_store import EventStore, RecordedEvent


@dataclass
class History:
    """The commands of one run: what was acknowledged, refused, or is not known."""

    done: dict[UUID, Done] = field(default_factory=dict)
    refused: set[UUID] = field(default_factory=set)
    unknown: set[UUID] = field(default_factory=set)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, command_id: UUID, done: Done) -> None:
        """One more command was acknowledged."""
        self.done[command_id] = done
        self._grown.set()

    async def grown_by(self, commands: int, *, since: int) -> None:
        """Wait until so many more commands than `since` are acknowledged."""
        while len(self.done) < since + commands:
            self._grown.clear()
            await self._grown.wait()

    async def check(self, store: EventStore) -> None:
        """Every promise about single commands, for the whole log.

        Nothing acknowledged is lost, nothing is applied twice, what was refused wrote nothing, positions and
        versions have no gaps, epochs never go back, and an epoch has one writer.
        """
        log = await store.read_partitions(dict.fromkeys(range(store.info.partitions), 0), limit=1_000_000)
        by_command: dict[UUID, list[RecordedEvent]] = defaultdict(list)
        for event in log:
            by_command[event.command_id].append(event)
        for command_id, done in self.done.items():
            written = by_command.get(command_id, [])
            assert [event.version for event in written] == [event.version for event in done.events], command_id
            assert [event.data for event in written] == [event.data for event in done.events], command_id
        assert not self.refused & by_command.keys()
        assert set(by_command) <= self.done.keys() | self.unknown
        _check_order(log)


def _check_order(log: Sequence[RecordedEvent]) -> None:
    position: dict[int, int] = defaultdict(int)
    epoch: dict[int, int] = defaultdict(int)
    version: dict[str, int] = defaultdict(int)
    for event in log:
        assert event.position == position[event.partition] + 1
        assert event.version == version[event.stream] + 1
        assert event.epoch >= epoch[event.partition]
        position[event.partition] += 1
        version[event.stream] += 1
        epoch[event.partition] = event.epoch
