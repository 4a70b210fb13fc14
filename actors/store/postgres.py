"""The log in PostgreSQL, version 15 or later."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from typing_extensions import override

from actors.store.driver import DRIVER_ERRORS, SERVER, told
from actors.store.event_store import (
    EventStore,
    History,
    LoggedEvent,
    Mark,
    Marks,
    RecordedEvent,
    Snapshot,
    StoreInfo,
    StoreUnavailable,
    StoreUnsuitable,
    Stretch,
    WriteSession,
)
from actors.store.migrations import migrate
from actors.store.sql_files import load_queries
from actors.store.takeover import refuse_older, take_over
from actors.store.write_session import PostgresWriteSession

OLDEST_VERSION = 15
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
POOL_SIZE = 4
# Events whose content comes as one array, which PostgreSQL limits to 1 GB: an event is smaller than 1 MiB.
PIECE = 1_000
_NO_END = 2**62

# All reads go by a key. They are planned once for each connection, and so that the plan does not depend on how small
# a table was at that time.
_READER_SETTINGS = {
    "application_name": "rayleans reader",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}

_SQL = load_queries("actors.store", "store.sql", "events.sql", "snapshots.sql", "ownership.sql")


class PostgresEventStore(EventStore):
    """The log in one PostgreSQL database."""

    def __init__(self, url: str, pool: asyncpg.Pool, info: StoreInfo) -> None:
        self._url = url
        self._pool = pool
        self._info = info
        self._sessions: list[PostgresWriteSession] = []

    @classmethod
    async def open(cls, url: str, *, partitions: int) -> PostgresEventStore:
        """Connect, bring the schema up to date, and found the store if the database has none.

        Raises:
            StoreUnavailable: no connection.
            StoreUnsuitable: the server is too old or not durable, or the store has another partition count.
        """
        with translated("cannot connect"):
            pool = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=POOL_SIZE,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=READ_TIMEOUT_S,
                server_settings=_READER_SETTINGS,
                target_session_attrs=SERVER,
                reset=_leave_as_it_is,
            )
        try:
            with translated("cannot prepare the log"):
                async with pool.acquire() as connection:
                    info = await _prepare(connection, partitions)
        except BaseException:
            pool.terminate()
            raise
        return cls(url, pool, info)

    @property
    @override
    def info(self) -> StoreInfo:
        return self._info

    @override
    async def begin_service(self, service: str) -> int:
        with translated("cannot begin a service"):
            generation: int = await self._pool.fetchval(_SQL["begin_service"], service)
        return generation

    @override
    async def refuse_older(self, generation: int) -> None:
        with translated("cannot ask for a newer service"):
            await refuse_older(self._pool, generation)

    @override
    async def take_over(
        self, silo: str, partitions: Collection[int], generation: int, *, reclaim: WriteSession | None = None
    ) -> WriteSession:
        broken = reclaim if isinstance(reclaim, PostgresWriteSession) else None
        with translated("cannot take over"):
            session = await take_over(self._url, silo, partitions, generation, broken)
            # The address may lead to another server now, and connections to the former one may live on: what they
            # read must not wake an actor.
            await self.connect_anew()
        self._sessions = [*(each for each in self._sessions if each is not reclaim), session]
        return session

    @override
    async def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        return await self._read("read_stream", stream, after_version, limit)

    @override
    async def read_histories(self, schemas: Mapping[str, str]) -> Mapping[str, History]:
        snapshots: dict[str, Snapshot] = {}
        events: dict[str, list[RecordedEvent]] = {}
        with translated("cannot read"):
            rows = await self._pool.fetch(_SQL["read_histories"], list(schemas.keys()), list(schemas.values()))
        for row in rows:
            stream = row["stream"]
            if row["type"] is None:
                kept = Snapshot(stream, row["version"], schemas[stream], row["data"], tuple(row["command_ids"]))
                snapshots[stream] = kept
            else:
                events.setdefault(stream, []).append(RecordedEvent(*tuple(row)[:-1]))
        streams = snapshots.keys() | events.keys()
        return {stream: History(snapshots.get(stream), events.get(stream, ())) for stream in streams}

    @override
    async def write_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        if not snapshots:
            return
        stream, version, schema, state, command_ids = zip(*snapshots, strict=True)
        lists = [",".join(map(str, each)) for each in command_ids]
        with translated("cannot write snapshots"):
            await self._pool.execute(_SQL["write_snapshots"], stream, version, schema, state, lists)

    @override
    async def read_command(self, command_id: UUID) -> Sequence[RecordedEvent]:
        return await self._read("read_command", command_id)

    @override
    async def read_partitions(self, after: Mapping[int, int], *, limit: int) -> Sequence[RecordedEvent]:
        return await self._read("read_partitions", list(after.keys()), list(after.values()), limit)

    @override
    async def follow(
        self,
        after: Mapping[int, int],
        *,
        limit: int,
        categories: Collection[str],
        types: Collection[str] | None = None,
    ) -> Stretch:
        pieces = map(list, zip(*_pieces(after, limit), strict=True))
        wanted = (list(categories), None if types is None else list(types))
        with translated("cannot read"):
            rows = await self._pool.fetch(_SQL["follow"], *pieces, *wanted)
        events: list[LoggedEvent] = []
        ends: dict[int, Mark] = {}
        lengths: dict[int, int] = {}
        for partition, end, epoch, length, *columns in rows:
            ends[partition] = Mark(end, epoch)
            lengths[partition] = lengths.get(partition, 0) + length
            if columns[0] is not None:
                events += map(LoggedEvent, repeat(partition), *columns)
        return Stretch(events, ends, lengths)

    @override
    async def heads(self) -> Mapping[int, int]:
        with translated("cannot read"):
            return {row["partition"]: row["position"] for row in await self._pool.fetch(_SQL["heads"])}

    @override
    async def marks(self, positions: Mapping[int, int]) -> Marks:
        with translated("cannot read"):
            rows = await self._pool.fetch(_SQL["marks"], list(positions.keys()), list(positions.values()))
        return {row["partition"]: Mark(row["position"], row["epoch"]) for row in rows}

    @override
    async def connect_anew(self) -> None:
        await self._pool.expire_connections()

    @override
    async def close(self) -> None:
        for session in self._sessions:
            await session.close()
        self._pool.terminate()

    async def _read(self, query: str, *arguments: object) -> list[RecordedEvent]:
        with translated("cannot read"):
            return recorded(await self._pool.fetch(_SQL[query], *arguments))


def _pieces(after: Mapping[int, int], limit: int) -> Iterator[tuple[int, int, int, int]]:
    """What is to be read: partition, position to start behind, last position, how many events.

    Positions have no gaps, so it is known where each piece begins. The last one ends wherever it has enough events: if
    there should be a gap after all, it is not overlooked.
    """
    for partition, position in after.items():
        for done in range(0, limit, PIECE):
            last = done + PIECE >= limit
            end = _NO_END if last else position + done + PIECE
            yield partition, position + done, end, min(PIECE, limit - done)


async def _leave_as_it_is(_: object) -> None:
    """Reads leave nothing in a session, so there is nothing to reset with a round trip of its own."""


def recorded(rows: Iterable[asyncpg.Record]) -> list[RecordedEvent]:
    """Rows that have the columns of `RecordedEvent`, in its order."""
    return [RecordedEvent(*row) for row in rows]


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Errors of the driver and the network become `StoreUnavailable`."""
    try:
        yield
    except DRIVER_ERRORS as exc:
        raise StoreUnavailable(f"{doing}: {told(exc)}") from exc


async def _prepare(connection: Any, partitions: int) -> StoreInfo:
    _check_settings(await connection.fetchrow(_SQL["server_settings"]))
    await migrate(connection, "actors.store")
    async with connection.transaction():
        await connection.execute(_SQL["found"], uuid4(), secrets.token_bytes(32), partitions)
        info = StoreInfo(*await connection.fetchrow(_SQL["store"]))
        await connection.execute(_SQL["found_partitions"], info.partitions)
    if info.partitions != partitions:
        raise StoreUnsuitable(
            f"this log was made with {info.partitions} partitions, and that is for ever; it was opened with "
            f"{partitions}. Start with --partitions {info.partitions}."
        )
    return info


def _check_settings(settings: Mapping[str, Any]) -> None:
    if settings["version"] < OLDEST_VERSION * 10_000:
        raise StoreUnsuitable(f"PostgreSQL {OLDEST_VERSION} or later is needed; this is {settings['version']}")
    if settings["encoding"] != "UTF8":
        raise StoreUnsuitable(f"the encoding of the database is {settings['encoding']}; make it with UTF8")
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if settings[name] == "off":
            raise StoreUnsuitable(
                f"{name} is off in this PostgreSQL, so that an acknowledged command could be lost; set it to on"
            )
