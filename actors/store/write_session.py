"""The right to append, as one PostgreSQL connection that holds the locks of its partitions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

import asyncpg
from typing_extensions import override

from actors.store.driver import DRIVER_ERRORS, told
from actors.store.event_store import (
    CommandIdTaken,
    Deposed,
    Marks,
    NewEvent,
    RecordedEvent,
    StoreUnavailable,
    Unstorable,
    VersionTaken,
    WriteSession,
)
from actors.store.sql_files import load_queries

# Between texts, as `append` in events.sql has it. JSON cannot hold it, and neither can names of streams and events.
_SEPARATOR = "\x1e"

_SQL = load_queries("actors.store", "events.sql")


class PostgresWriteSession(WriteSession):
    """One connection that holds the advisory locks of its partitions.

    One statement is a whole append, so that a session that is paused or killed leaves no open transaction. Any
    error that is not known to have written nothing ends the session: the next one asks the log.
    """

    def __init__(
        self, connection: asyncpg.Connection, epochs: Mapping[int, int], heads: Marks, *, put_out: bool
    ) -> None:
        self._connection = connection
        self._epochs = dict(epochs)
        self._heads = {partition: head.position for partition, head in heads.items()}
        self._head_epochs = {partition: head.epoch for partition, head in heads.items()}
        self._put_out = put_out
        self._owned = (list(self._epochs.keys()), list(self._epochs.values()))
        self.backend_pid = connection.get_server_pid()

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
        heads = dict(self._heads)
        positions = []
        for event in events:
            heads[event.partition] += 1
            positions.append(heads[event.partition])
        columns = _columns(events, positions)
        with self._fatal_unless_harmless():
            written = await self._connection.execute(_SQL["append"], *self._owned, *columns)
        if written != f"INSERT 0 {len(events)}":
            self._connection.terminate()
            raise Deposed("another session has taken a partition over")
        self._head_epochs.update((each, self._epochs[each]) for each in heads if heads[each] > self._heads[each])
        self._heads = heads
        return positions

    @override
    async def prove(self, command_ids: Collection[UUID] = ()) -> Mapping[UUID, Sequence[RecordedEvent]]:
        found: dict[UUID, list[RecordedEvent]] = {}
        with self._fatal_unless_harmless():
            if command_ids:
                rows = await self._connection.fetch(_SQL["prove_and_find"], *self._owned, list(command_ids))
                owned = rows[0]["owned"]
                for row in rows:
                    if row["command_id"] is not None:
                        found.setdefault(row["command_id"], []).append(RecordedEvent(*tuple(row)[1:]))
            else:
                owned = await self._connection.fetchval(_SQL["prove"], *self._owned)
        if owned != len(self._epochs):
            self._connection.terminate()
            raise Deposed("another session has taken a partition over")
        return found

    @override
    async def close(self) -> None:
        self._connection.terminate()

    @contextmanager
    def _fatal_unless_harmless(self) -> Iterator[None]:
        try:
            yield
        except asyncpg.UniqueViolationError as exc:
            taken = CommandIdTaken if exc.constraint_name == "events_by_command" else VersionTaken
            raise taken(exc.detail or str(exc)) from exc
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as exc:
            raise Unstorable(str(exc)) from exc
        except DRIVER_ERRORS as exc:
            self._connection.terminate()
            raise StoreUnavailable(f"the connection to the log broke: {told(exc)}") from exc
        except BaseException:
            self._connection.terminate()
            raise


def _columns(events: Sequence[NewEvent], positions: Sequence[int]) -> tuple[Sequence[object], ...]:
    partition, stream, version, type_, data, metadata, command_id, ordinal, command = zip(*events, strict=True)
    texts = (stream, type_, [text or "" for text in command], data, metadata)
    return partition, positions, version, command_id, ordinal, *map(_joined, texts)


def _joined(texts: Sequence[str]) -> str:
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) >= len(texts):
        raise Unstorable("a text holds the control character U+001E")
    return joined
