"""Reads through a log in PostgreSQL: one read-only transaction, so that nothing moves meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
from typing_extensions import override

from actors.store.driver import SERVER
from actors.store.event_store import RecordedEvent, StoreUnsuitable
from actors.store.log_scan import LogScan, Order
from actors.store.postgres import translated
from actors.store.sql_files import load_queries

CONNECT_TIMEOUT_S = 5.0
ROWS_AT_ONCE = 2_000

_SQL = load_queries("actors.store", "scan.sql", "store.sql")
_QUERIES = {Order.POSITION: "by_position", Order.STREAM: "by_stream", Order.COMMAND: "by_command"}


class PostgresLogScan(LogScan):
    """A log inside a transaction."""

    def __init__(self, connection: asyncpg.Connection, partitions: int, epochs: Mapping[int, int], length: int) -> None:
        self._connection = connection
        self._partitions = partitions
        self._epochs = epochs
        self._length = length

    @property
    @override
    def partitions(self) -> int:
        return self._partitions

    @property
    @override
    def epochs(self) -> Mapping[int, int]:
        return self._epochs

    @property
    @override
    def length(self) -> int:
        return self._length

    @override
    async def events(self, order: Order) -> AsyncIterator[RecordedEvent]:
        with translated("cannot read the log"):
            async for row in self._connection.cursor(_SQL[_QUERIES[order]], prefetch=ROWS_AT_ONCE):
                yield RecordedEvent(*row)


@asynccontextmanager
async def scan_log(url: str) -> AsyncIterator[PostgresLogScan]:
    """The log of a database as it is now; writes nothing.

    Raises:
        StoreUnavailable: no connection.
        StoreUnsuitable: there is no log in this database.
    """
    with translated("cannot read the log"):
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": "rayleans scan"},
            target_session_attrs=SERVER,
        )
    try:
        with translated("cannot read the log"):
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if not await connection.fetchval(_SQL["has_log"]):
                raise StoreUnsuitable("there is no log in this database")
            store = await connection.fetchrow(_SQL["store"])
            if store is None:
                raise StoreUnsuitable("the log in this database was never founded")
            epochs = {row["partition"]: row["epoch"] for row in await connection.fetch(_SQL["epochs"])}
            length = await connection.fetchval(_SQL["length"])
        yield PostgresLogScan(connection, store["partitions"], epochs, length)
    finally:
        connection.terminate()
