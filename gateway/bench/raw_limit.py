"""What the database alone can do with the same rows: the limit that a figure is held against."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from actors.store.migrations import migrate
from actors.store.sql_files import load_queries

ROWS_PER_STATEMENT = 1_000

_SQL = load_queries("gateway.bench", "raw_limit.sql")


async def raw_inserts_per_s(events_url: str, rows: int) -> float:
    """Rows of the log that PostgreSQL takes in a second, a thousand in each statement and each statement durable.

    The newest `rows` rows are copied in the order of the log, into an empty log with the same indexes in a database
    of its own, by one connection that does nothing else. Their values are in memory when the clock starts.
    """
    name = f"raw_{uuid4().hex}"
    source = await asyncpg.connect(events_url)
    try:
        batches = await _read_batches(source, rows)
        await source.execute(f'CREATE DATABASE "{name}"')
        try:
            return sum(len(batch[0]) for batch in batches) / await _insert(_beside(events_url, name), batches)
        finally:
            await source.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await source.close()


async def _read_batches(source: asyncpg.Connection, rows: int) -> list[list[tuple[object, ...]]]:
    newest = await source.fetch(_SQL["newest"], rows)
    parts = (newest[start : start + ROWS_PER_STATEMENT] for start in range(0, len(newest), ROWS_PER_STATEMENT))
    return [list(zip(*(tuple(row) for row in part), strict=True)) for part in parts]


async def _insert(url: str, batches: list[list[tuple[object, ...]]]) -> float:
    target = await asyncpg.connect(url)
    try:
        await migrate(target, "actors.store")
        statement = await target.prepare(_SQL["insert"])
        began = time.perf_counter()
        for batch in batches:
            await statement.fetch(*batch)
        return time.perf_counter() - began
    finally:
        await target.close()


def _beside(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
