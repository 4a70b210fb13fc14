"""The log in the memory of this process: for tests, and for reading what the contract is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from typing_extensions import override

from actors.store.event_store import (
    CommandIdTaken,
    Deposed,
    EventStore,
    History,
    LoggedEvent,
    Mark,
    Marks,
    NewEvent,
    RecordedEvent,
    Snapshot,
    StoreInfo,
    StoreUnavailable,
    Stretch,
    Superseded,
    Unstorable,
    VersionTaken,
    WriteSession,
    next_epoch_step,
)
from actors.store.log_scan import LogScan, Order

_SORT_KEYS: Mapping[Order, Callable[[RecordedEvent], tuple[int | str | UUID, int]]] = {
    Order.POSITION: lambda event: (event.partition, event.position),
    Order.STREAM: lambda event: (event.stream, event.version),
    Order.COMMAND: lambda event: (event.command_id, event.ordinal),
}


class MemoryEventStore(EventStore):
    """A log that nothing outlives.

    Args:
        partitions: how many.
        clock: gives `recorded_at`.

    Attributes:
        snapshots: by stream, whether or not the log bears them out.
    """

    def __init__(self, *, partitions: int = 16, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._info = StoreInfo(uuid4(), uuid4().bytes + uuid4().bytes, partitions)
        self._clock = clock
        self._partitions: list[list[RecordedEvent]] = [[] for _ in range(partitions)]
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._commands: dict[UUID, list[RecordedEvent]] = {}
        self._epochs = [0] * partitions
        self._holders: dict[int, MemoryWriteSession] = {}
        self._newest: tuple[int, Superseded] | None = None
        self.snapshots: dict[str, Snapshot] = {}

    @property
    @override
    def info(self) -> StoreInfo:
        return self._info

    @override
    async def begin_service(self, service: str) -> int:
        generation = 1 if self._newest is None else self._newest[0] + 1
        self._newest = (generation, Superseded(service, self._clock()))
        return generation

    @override
    async def refuse_older(self, generation: int) -> None:
        if self._newest is not None and self._newest[0] > generation:
            raise self._newest[1]

    @override
    async def take_over(
        self, silo: str, partitions: Collection[int], generation: int, *, reclaim: WriteSession | None = None
    ) -> WriteSession:
        await self.refuse_older(generation)
        if reclaim is not None and not self.owns(reclaim.epochs):
            raise Deposed("another session had a partition meanwhile")
        step = next_epoch_step()
        for partition in partitions:
            self._epochs[partition] += step
        epochs = {partition: self._epochs[partition] for partition in partitions}
        put_out = reclaim is None and any(partition in self._holders for partition in partitions)
        heads = {partition: self._head(partition) for partition in partitions}
        session = MemoryWriteSession(self, epochs, heads, put_out=put_out)
        self._holders.update(dict.fromkeys(epochs, session))
        return session

    @override
    async def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        return self._streams.get(stream, [])[after_version:][:limit]

    @override
    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        histories = {stream: self._history(stream, schema) for stream, schema in schemas.items()}
        return {stream: history for stream, history in histories.items() if history.snapshot or history.events}

    @override
    async def write_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        for snapshot in snapshots:
            present = self.snapshots.get(snapshot.stream)
            if present is None or present.version <= snapshot.version:
                self.snapshots[snapshot.stream] = snapshot

    @override
    async def read_command(self, command_id: UUID) -> Sequence[RecordedEvent]:
        return list(self._commands.get(command_id, []))

    @override
    async def read_partitions(self, after: Mapping[int, int], *, limit: int) -> Sequence[RecordedEvent]:
        return [
            event for partition in sorted(after) for event in self._partitions[partition][after[partition] :][:limit]
        ]

    @override
    async def follow(
        self,
        after: Mapping[int, int],
        *,
        limit: int,
        categories: Collection[str],
        types: Collection[str] | None = None,
    ) -> Stretch:
        read = await self.read_partitions(after, limit=limit)
        events = [
            LoggedEvent(*each[:6], each.epoch, each.recorded_at)
            for each in read
            if each.category in categories and (types is None or each.type in types)
        ]
        ends = {each.partition: Mark(each.position, each.epoch) for each in read}
        return Stretch(events, ends, Counter(each.partition for each in read))

    @override
    async def heads(self) -> Mapping[int, int]:
        return {partition: len(events) for partition, events in enumerate(self._partitions)}

    @override
    async def marks(self, positions: Mapping[int, int]) -> Marks:
        return {
            partition: Mark(position, self._partitions[partition][position - 1].epoch)
            for partition, position in positions.items()
            if partition < len(self._partitions) and 0 < position <= len(self._partitions[partition])
        }

    @override
    async def connect_anew(self) -> None: ...

    @override
    async def close(self) -> None: ...

    def scan(self) -> MemoryLogScan:
        """The log as it is now."""
        events = [event for partition in self._partitions for event in partition]
        return MemoryLogScan(events, dict(enumerate(self._epochs)))

    def let_go(self, session: MemoryWriteSession) -> None:
        """What it holds, nobody holds."""
        self._holders = {each: holder for each, holder in self._holders.items() if holder is not session}

    def owns(self, epochs: Mapping[int, int]) -> bool:
        """Whether nobody has taken over since."""
        return all(self._epochs[partition] == epoch for partition, epoch in epochs.items())

    def restore(self, heads: Mapping[int, int]) -> None:
        """Become what a backup had, taken when the heads were these. As with any restore, no session outlives it."""
        kept = [event for each, head in heads.items() for event in self._partitions[each][:head]]
        self._partitions, self._streams, self._commands = [[] for _ in self._partitions], {}, {}
        self._epochs = [0] * len(self._partitions)
        for event in kept:
            self._add(event)
            self._epochs[event.partition] = event.epoch

    def find(self, command_ids: Iterable[UUID]) -> Mapping[UUID, Sequence[RecordedEvent]]:
        """The events of those commands that are in the log."""
        return {each: list(self._commands[each]) for each in command_ids if each in self._commands}

    def write(self, events: Sequence[NewEvent], epochs: Mapping[int, int]) -> Sequence[int]:
        """All events or none."""
        self._check(events)
        positions = []
        for event in events:
            partition = self._partitions[event.partition]
            recorded = RecordedEvent(
                event.partition, len(partition) + 1, *event[1:], epochs[event.partition], self._clock()
            )
            self._add(recorded)
            positions.append(recorded.position)
        return positions

    def _history(self, stream: str, schema: str) -> History:
        events = self._streams.get(stream, [])
        snapshot = self.snapshots.get(stream)
        if snapshot is None or snapshot.schema != schema or not _fits(snapshot, events):
            return History(None, list(events))
        return History(snapshot, events[snapshot.version :])

    def _add(self, event: RecordedEvent) -> None:
        self._partitions[event.partition].append(event)
        self._streams.setdefault(event.stream, []).append(event)
        self._commands.setdefault(event.command_id, []).append(event)

    def _head(self, partition: int) -> Mark:
        events = self._partitions[partition]
        return Mark(len(events), events[-1].epoch) if events else Mark(0, 0)

    def _check(self, events: Sequence[NewEvent]) -> None:
        versions: dict[str, int] = {}
        commands: set[tuple[UUID, int]] = set()
        for event in events:
            _check_json(event.data)
            _check_json(event.metadata)
            command = (event.command_id, event.ordinal)
            if event.command_id in self._commands or command in commands:
                raise CommandIdTaken(f"command id {event.command_id} is in the log")
            commands.add(command)
            version = versions.get(event.stream, len(self._streams.get(event.stream, [])))
            if event.version != version + 1:
                raise VersionTaken(f"{event.stream} is at version {version}")
            versions[event.stream] = event.version


class MemoryLogScan(LogScan):
    """The events of one moment."""

    def __init__(self, events: Sequence[RecordedEvent], epochs: Mapping[int, int]) -> None:
        self._events = events
        self._epochs = epochs

    @property
    @override
    def partitions(self) -> int:
        return len(self._epochs)

    @property
    @override
    def epochs(self) -> Mapping[int, int]:
        return self._epochs

    @property
    @override
    def length(self) -> int:
        return len(self._events)

    @override
    async def events(self, order: Order) -> AsyncIterator[RecordedEvent]:
        for event in sorted(self._events, key=_SORT_KEYS[order]):
            yield event if order is not Order.COMMAND else event._replace(data="", metadata="", command=None)


class MemoryWriteSession(WriteSession):
    """The right to append to a `MemoryEventStore`."""

    def __init__(self, store: MemoryEventStore, epochs: Mapping[int, int], heads: Marks, *, put_out: bool) -> None:
        self._store = store
        self._put_out = put_out
        self._epochs = epochs
        self._heads = {partition: head.position for partition, head in heads.items()}
        self._head_epochs = {partition: head.epoch for partition, head in heads.items()}
        self._closed = False

    @property
    @override
    def epochs(self) -> Mapping[int, int]:
        return self._epochs

    @property
    @override
    def heads(self) -> Mapping[int, int]:
        return self._heads

    @property
    @override
    def head_epochs(self) -> Mapping[int, int]:
        return self._head_epochs

    @property
    @override
    def put_out(self) -> bool:
        return self._put_out

    @override
    async def append(self, events: Sequence[NewEvent]) -> Sequence[int]:
        self._refuse_deposed()
        positions = self._store.write(events, self._epochs)
        for event, position in zip(events, positions, strict=True):
            self._heads[event.partition] = position
            self._head_epochs[event.partition] = self._epochs[event.partition]
        return positions

    @override
    async def prove(self, command_ids: Collection[UUID] = ()) -> Mapping[UUID, Sequence[RecordedEvent]]:
        self._refuse_deposed()
        return self._store.find(command_ids)

    @override
    async def close(self) -> None:
        self._closed = True
        self._store.let_go(self)

    def _refuse_deposed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the session was closed")
        if not self._store.owns(self._epochs):
            raise Deposed("another session has taken a partition over")


def _fits(snapshot: Snapshot, events: Sequence[RecordedEvent]) -> bool:
    last = events[snapshot.version - 1] if snapshot.version <= len(events) else None
    return last is not None and last.command_id == snapshot.command_ids[-1]


def _check_json(text: str) -> None:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except ValueError as exc:
        raise Unstorable(f"not JSON: {exc}") from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
