"""Holds a view against a replay of the log up to its checkpoint, row by row; the view may be in use meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import asyncpg
from pydantic import BaseModel

from actors.store.event_store import EventStore
from actors.store.sql_files import load_queries
from projections.build import Build
from projections.errors import ViewsUnavailable
from projections.projection import AnyProjection, Tally
from projections.read_store import unavailable
from projections.replay import Place, Replay
from projections.tables import RowTable

ROWS_AT_ONCE = 1_000

_SQL = load_queries("projections", "versions.sql", "projections.sql", "parked.sql")


class Difference(NamedTuple):
    """A row that is not what a replay gives. None = there is no such row."""

    table: str
    key: str
    stored: str | None
    replayed: str | None


@dataclass
class ViewAudit:
    """What the audit of one view found.

    Attributes:
        version: of the view.
        events: up to the checkpoint.
        rows: that a replay gives.
        left_out: events that are parked or skipped.
        difference: the first that was found; None = the view is what it has to be.
    """

    projection: str
    version: int
    events: int = 0
    rows: int = 0
    left_out: int = 0
    difference: Difference | None = None


@dataclass
class Sums:
    """The groups of a tally, summed up from rows."""

    tally: Tally
    groups: dict[tuple[Any, ...], dict[str, int]] = field(default_factory=dict)

    def add(self, rows: Iterable[BaseModel]) -> None:
        """Count more rows."""
        for row in rows:
            contribution = self.tally.contribution(row)
            if contribution is not None:
                values = contribution.model_dump()
                group = self.groups.setdefault(tuple(values[name] for name in self.tally.key), {})
                for name in values:
                    if name not in self.tally.key:
                        group[name] = group.get(name, 0) + values[name]


async def audit_view(
    projection: AnyProjection,
    connection: asyncpg.Connection,
    open_log: Callable[[int], Awaitable[EventStore]],
    progress: Callable[[int], object] = lambda _: None,
) -> ViewAudit:
    """Compare the served version of a view with a replay. Ends at the first difference.

    Rows that stay in one partition are compared a partition at a time, so that no more of them are in memory.

    Args:
        connection: to the read database, used for nothing else meanwhile.
        open_log: connects to the log, which has so many partitions.
        progress: told how many more events were read.

    Raises:
        ViewsUnavailable: the read database is away, or the view is not served yet.
        StoreUnavailable: the log is away.
    """
    with unavailable("cannot read the view"):
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(_SQL["stay"])
            versions = await connection.fetch(_SQL["versions"], projection.name)
            served = [row["version"] for row in versions if row["served"]]
            if not served:
                raise ViewsUnavailable(f"the view {projection.name} is not built yet")
            build = Build(projection, served[0])
            checkpoint = {row["partition"]: row["position"] for row in await _fetch(connection, "checkpoint", build)}
            left_out = {Place(*row) for row in await _fetch(connection, "not_folded", build)}
            audit = ViewAudit(projection.name, build.version, sum(checkpoint.values()), left_out=len(left_out))
            events = await open_log(len(checkpoint))
            try:
                replay = Replay(projection, events, left_out, progress)
                audit.difference = await _compare(audit, build, connection, replay, checkpoint)
            finally:
                await events.close()
            return audit


async def _fetch(connection: asyncpg.Connection, query: str, build: Build) -> list[asyncpg.Record]:
    return list(await connection.fetch(_SQL[query], build.projection.name, build.version))


async def _compare(
    audit: ViewAudit,
    build: Build,
    connection: asyncpg.Connection,
    replay: Replay,
    checkpoint: Mapping[int, int],
) -> Difference | None:
    sums = [Sums(tally) for tally, _ in build.tallies]
    keys: set[str] = set()
    for part in _parts(build.projection, checkpoint):
        rows = await replay.rows(part)
        audit.rows += len(rows)
        keys.update(rows)
        for each in sums:
            each.add(rows.values())
        difference = await _differing_row(build, connection, rows)
        if difference is not None:
            return difference
    surplus = await _surplus_row(build, connection, keys)
    if surplus is not None:
        return surplus
    for each, (_, table) in zip(sums, build.tallies, strict=True):
        difference = await _differing_group(each, table, connection)
        if difference is not None:
            return difference
    return None


def _parts(projection: AnyProjection, checkpoint: Mapping[int, int]) -> Iterator[Mapping[int, int]]:
    if not projection.stays_in_partition:
        yield checkpoint
        return
    for partition, position in checkpoint.items():
        yield {partition: position}


async def _differing_row(
    build: Build, connection: asyncpg.Connection, rows: Mapping[str, BaseModel]
) -> Difference | None:
    keys = iter(sorted(rows))
    while batch := list(islice(keys, ROWS_AT_ONCE)):
        records = await connection.fetch(build.rows.load, batch)
        stored = {record[build.projection.key]: build.rows.read(record) for record in records}
        for key in batch:
            if key not in stored or stored[key].__dict__ != rows[key].__dict__:
                return Difference(build.rows.name, key, _told(stored.get(key)), _told(rows[key]))
    return None


async def _surplus_row(build: Build, connection: asyncpg.Connection, keys: set[str]) -> Difference | None:
    async for record in connection.cursor(build.rows.all, prefetch=ROWS_AT_ONCE):
        key = record[build.projection.key]
        if key not in keys:
            return Difference(build.rows.name, key, _told(build.rows.read(record)), None)
    return None


async def _differing_group(sums: Sums, table: RowTable, connection: asyncpg.Connection) -> Difference | None:
    """Groups that come to nothing are as good as not there."""
    stored: dict[tuple[Any, ...], dict[str, int]] = {}
    for record in await connection.fetch(table.all):
        values = table.read(record).__dict__
        stored[tuple(values[name] for name in sums.tally.key)] = {
            name: value for name, value in values.items() if name not in sums.tally.key
        }
    for key in sorted(stored.keys() | sums.groups.keys(), key=str):
        is_, has_to_be = stored.get(key, {}), sums.groups.get(key, {})
        if is_ != has_to_be and (any(is_.values()) or any(has_to_be.values())):
            return Difference(table.name, " ".join(map(str, key)), _group_told(is_), _group_told(has_to_be))
    return None


def _group_told(sums: Mapping[str, int]) -> str | None:
    return str(sums) if sums else None


def _told(row: BaseModel | None) -> str | None:
    return None if row is None else row.model_dump_json()
