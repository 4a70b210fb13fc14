"""The storage boundary: what the rest of the service may ask of the log.

A store is cut into a fixed number of partitions. In each partition positions count 1, 2, 3 … without a gap and
become visible in that order, so that a reader needs no gap logic. A partition is written by one session at a
time: taking it over raises its epoch, and every append checks the epochs it was opened with.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID
from zlib import crc32


def next_epoch_step() -> int:
    """How far a take-over raises epochs: at random, so that no epoch of a lost future is given a second time."""
    return 1 + secrets.randbelow(2**31)


def stream_name(category: str, key: str) -> str:
    """The stream of one actor: `customer` and `alice` make `customer-alice`."""
    return f"{category}-{key}"


def split_stream(stream: str) -> tuple[str, str]:
    """Category and key of the actor of a stream."""
    category, _, key = stream.partition("-")
    return category, key


def partition_of(stream: str, partitions: int) -> int:
    """The partition that a stream lives in, for ever: 0 … partitions - 1."""
    return crc32(stream.encode()) % partitions


class NewEvent(NamedTuple):
    """An event to append.

    Attributes:
        version: 1-based place in the stream; the stream is expected to be at `version - 1`.
        data, metadata: JSON objects as text.
        ordinal: 0-based place among the events of its command.
        command: what was asked for, as JSON text `{name: {field: value}}`; None unless `ordinal` is 0.
    """

    partition: int
    stream: str
    version: int
    type: str
    data: str
    metadata: str
    command_id: UUID
    ordinal: int
    command: str | None


class RecordedEvent(NamedTuple):
    """An event as stored; see `NewEvent`.

    Attributes:
        position: 1-based gapless place in the partition.
        epoch: ownership generation of the partition that wrote it.
        recorded_at: UTC, by the clock of the database. For people: order is position.
    """

    partition: int
    position: int
    stream: str
    version: int
    type: str
    data: str
    metadata: str
    command_id: UUID
    ordinal: int
    command: str | None
    epoch: int
    recorded_at: datetime

    @property
    def category(self) -> str:
        return split_stream(self.stream)[0]

    @property
    def key(self) -> str:
        return split_stream(self.stream)[1]

    @property
    def marks(self) -> Marks:
        """Everything up to this event, in its partition."""
        return {self.partition: Mark(self.position, self.epoch)}


class Mark(NamedTuple):
    """One event of a partition, by its place and by who wrote it.

    After the restore of a backup the log grows again, and a position gets another event. It never gets another one
    under the same epoch: a restore ends every session, and the next take-over draws an epoch that no session had.
    So whoever remembers marks can ask whether what he saw is still in the log, and so is everything before it.
    """

    position: int
    epoch: int


# Of partitions.
Marks = Mapping[int, Mark]


def positions_of(marks: Marks) -> dict[int, int]:
    """Partition → position."""
    return {partition: mark.position for partition, mark in marks.items()}


def furthest(*marks: Marks) -> Marks:
    """All partitions of all, each with its furthest mark."""
    together: dict[int, Mark] = {}
    for partition, mark in (pair for each in marks for pair in each.items()):
        together[partition] = max(mark, together.get(partition, mark))
    return together


class Snapshot(NamedTuple):
    """The state of a stream at a version that the log has. A cache: without it, the events say the same.

    Attributes:
        schema: names what made the state; only the same can read it.
        state: JSON text.
        command_ids: of the latest commands up to that version, oldest first; at least one.
    """

    stream: str
    version: int
    schema: str
    state: str
    command_ids: Sequence[UUID]


class History(NamedTuple):
    """A stream as far as one needs to read it: from a snapshot on, or from its beginning.

    Attributes:
        snapshot: None when there is none of the wanted schema.
        events: those after the snapshot, oldest first.
    """

    snapshot: Snapshot | None
    events: Sequence[RecordedEvent]


class LoggedEvent(NamedTuple):
    """An event as one who follows the log sees it: a `RecordedEvent` without what only writers need."""

    partition: int
    position: int
    stream: str
    version: int
    type: str
    data: str
    epoch: int
    recorded_at: datetime


class Stretch(NamedTuple):
    """A piece of the log as one who follows it sees it.

    Attributes:
        events: those that were asked for, ordered by partition and position.
        ends: partition → mark of the last event, asked for or not; partitions without a new one are left out.
        lengths: partition → how many events it has there, asked for or not; fewer than positions = a gap.
    """

    events: Sequence[LoggedEvent]
    ends: Marks
    lengths: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What makes a store this store.

    Attributes:
        store_id: made with the store.
        secret: 32 bytes that sign consistency tokens.
        partitions: fixed for the life of the store.
    """

    store_id: UUID
    secret: bytes
    partitions: int


class StoreError(Exception):
    """Root of what a store can answer instead of a result.

    ├── StoreUnavailable     no connection, or it broke; an append that was under way is unknown
    ├── StoreUnsuitable      reachable, but not to be used: settings, version or another partition count
    ├── Superseded           a newer service was begun on the log; nobody was put out
    ├── Deposed              another session owns a partition of this one; nothing was written
    ├── CommandIdTaken       a command id of the batch is already in the log; nothing was written
    ├── Unstorable           an event of the batch cannot be stored as it is; nothing was written
    └── VersionTaken         a stream or partition is further than the batch believes; nothing was written
    """


class StoreUnavailable(StoreError):
    """No connection, or it broke. An append that was under way may or may not be in the log."""


class StoreUnsuitable(StoreError):
    """The store can be reached but must not be used; the message says what to change."""


class Superseded(StoreError):
    """A newer service was begun on the log; this is final for all older ones. Nobody was put out for them.

    Args:
        service: the newest one, for people.
        since: UTC, by the clock of the log.
    """

    def __init__(self, service: str, since: datetime) -> None:
        super().__init__(service, since)
        self.service, self.since = service, since

    def __str__(self) -> str:
        return f"a newer service took the log over at {self.since:%Y-%m-%d %H:%M:%S} UTC: {self.service}"


class Deposed(StoreError):
    """Another session has taken over; this one wrote nothing and must answer nothing more."""


class CommandIdTaken(StoreError):
    """At least one command id of the batch is already in the log; nothing of the batch was written."""


class Unstorable(StoreError):
    """The store refuses the content of an event; nothing of the batch was written and the session is fine."""


class VersionTaken(StoreError):
    """A stream or a partition is further than the batch believes; nothing of the batch was written."""


class WriteSession(Protocol):
    """The right to append to some partitions, until someone takes it over.

    Attributes:
        epochs: partition → ownership generation of this session.
        heads: partition → position of its last event, 0 when empty; moves with each append.
        head_epochs: partition → epoch of that event, 0 when empty.
        put_out: whether somebody else held one of the partitions, and was put out.
    """

    @property
    def epochs(self) -> Mapping[int, int]: ...

    @property
    def heads(self) -> Mapping[int, int]: ...

    @property
    def head_epochs(self) -> Mapping[int, int]: ...

    @property
    def put_out(self) -> bool: ...

    async def append(self, events: Sequence[NewEvent]) -> Sequence[int]:
        """Write all events or none, durably; returns their positions, in the order of `events`.

        At most one append or proof may be under way.

        Raises:
            Deposed, CommandIdTaken, Unstorable, VersionTaken: nothing was written.
            StoreUnavailable: all or nothing was written; take over again and look the command ids up.
        """
        ...

    async def prove(self, command_ids: Collection[UUID] = ()) -> Mapping[UUID, Sequence[RecordedEvent]]:
        """Check in the store that this session still owns all its partitions.

        Returns:
            For each of `command_ids` that is in the log, the events of that command, oldest first.

        Raises:
            Deposed: it does not.
            StoreUnavailable: it cannot be said.
        """
        ...

    async def close(self) -> None:
        """Give the partitions back, and write nothing any more. Safe to call twice and on a broken session."""
        ...


class EventStore(Protocol):
    """The log. All reads see every event that was acknowledged before they began."""

    @property
    def info(self) -> StoreInfo: ...

    async def begin_service(self, service: str) -> int:
        """Begin a newer service on the log than all before it. Returns its generation, for `take_over`.

        Generations rise, also over a restore of a backup.

        Args:
            service: who it is, for people.
        """
        ...

    async def refuse_older(self, generation: int) -> None:
        """Do nothing while this is the newest service that was begun.

        Raises:
            Superseded: it is not.
        """
        ...

    async def take_over(
        self, silo: str, partitions: Collection[int], generation: int, *, reclaim: WriteSession | None = None
    ) -> WriteSession:
        """Become the one writer of `partitions`; their epochs go up, by a step that nobody can foresee.

        Args:
            silo: who takes over, for people who look at the ownership table.
            generation: of the service that the silo belongs to; 0 = one without, while no service was ever begun.
            reclaim: a session of this silo that broke. When given, the partitions are taken only if
                nobody had them meanwhile; when None, a present holder is put out.

        Raises:
            Superseded: a newer service was begun.
            Deposed: with `reclaim`, somebody else had or has one of them.
            StoreUnavailable: the store cannot be reached, or a holder could not be put out.
        """
        ...

    async def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """One stream, oldest first; empty when it does not exist."""
        ...

    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        """Several streams with one query, each from its snapshot on.

        Args:
            schemas: stream → schema that its snapshot must have. One of another schema is passed over, and one that
                the log does not bear out: whose last command did not write the event at its version.

        Returns:
            Stream → its history; streams without events and snapshot are left out.
        """
        ...

    async def write_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep snapshots, at most one for each stream here, in place of older ones; a newer one stays.

        Whoever calls this has seen in the log everything that the snapshots are made of. It does not matter whether
        the caller still owns the partition: what was true of a version stays true. And should a log be set back, the
        reader asks it for the last command of the snapshot.
        """
        ...

    async def read_command(self, command_id: UUID) -> Sequence[RecordedEvent]:
        """What a command led to, oldest first; empty when it left nothing."""
        ...

    async def read_partitions(self, after: Mapping[int, int], *, limit: int) -> Sequence[RecordedEvent]:
        """The next events of some partitions: partition → position to start behind.

        Returns:
            At most `limit` events of each partition, ordered by partition and position.
        """
        ...

    async def follow(
        self,
        after: Mapping[int, int],
        *,
        limit: int,
        categories: Collection[str],
        types: Collection[str] | None = None,
    ) -> Stretch:
        """The next events of some partitions, as `read_partitions`; how many there are, and the content of some.

        Args:
            categories, types: of the events that are asked for; None = all types.
        """
        ...

    async def heads(self) -> Mapping[int, int]:
        """Position of the last event of each partition, 0 when empty."""
        ...

    async def marks(self, positions: Mapping[int, int]) -> Marks:
        """The marks of the events at some positions, by partition; where there is no event, it is left out."""
        ...

    async def connect_anew(self) -> None:
        """Read on new connections from now on: those that there are may lead to a server that had the log before."""
        ...

    async def close(self) -> None:
        """Let go of the store, and of the sessions that it gave."""
        ...
