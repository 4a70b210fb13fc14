"""The read database, as the runner of a projection writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from sqlalchemy import MetaData, Table, select
from sqlalchemy.sql.ddl import CreateView, DropView

from actors.store.driver import DRIVER_ERRORS, told
from actors.store.event_store import Mark, Marks, StoreInfo
from actors.store.migrations import migrate
from actors.store.sql_files import load_queries
from projections.build import Build, fingerprint
from projections.errors import LostRace, RowRefused, ViewsUnavailable, WrongLog
from projections.projection import AnyProjection
from projections.tables import compiled

CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 60.0

_SQL = load_queries("projections", "projections.sql")

Change = tuple[BaseModel | None, BaseModel | None]


class ReadStore:
    """One connection to the read database. Any error ends it; a new one goes on from the checkpoint."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> ReadStore:
        """Connect and bring the schema up to date.

        Raises:
            ViewsUnavailable: no connection.
        """
        with unavailable("cannot connect"):
            connection = await asyncpg.connect(
                url,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                server_settings={"application_name": "rayleans projection", "lock_timeout": "10s"},
            )
        store = cls(connection)
        try:
            with unavailable("cannot prepare the views"):
                await migrate(connection, "projections")
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Let go of the connection."""
        self._connection.terminate()

    async def prepare(self, projection: AnyProjection, log: StoreInfo) -> Build:
        """The build to work on: the one of this shape, made beside the served one if need be.

        Raises:
            WrongLog: there is one that was built from another log.
        """
        wanted = fingerprint(projection)
        with unavailable("cannot prepare the view"):
            async with self._connection.transaction():
                await self._connection.execute(_SQL["lock_projection"], projection.name)
                versions = await self._connection.fetch(_SQL["versions"], projection.name)
                if any(row["log"] not in (None, log.store_id) for row in versions):
                    raise WrongLog(f"the view {projection.name} of this database was built from another log")
                same = [row["version"] for row in versions if row["fingerprint"] == wanted]
                if same:
                    return Build(projection, same[-1])
                build = Build(projection, max((row["version"] for row in versions), default=0) + 1)
                await self._create(build, wanted, log)
                return build

    async def checkpoint(self, build: Build) -> Marks:
        """Partition → mark of the last event that is in the view.

        Raises:
            ViewsUnavailable: also when another release has dropped this build; `prepare` makes another one.
        """
        with unavailable("cannot read the checkpoint"):
            rows = await self._connection.fetch(_SQL["checkpoint"], build.projection.name, build.version)
        if not rows:
            raise ViewsUnavailable(f"version {build.version} of the view {build.projection.name} was dropped")
        return {row["partition"]: Mark(row["position"], row["epoch"]) for row in rows}

    async def load(self, build: Build, keys: Sequence[str]) -> dict[str, Any]:
        """The rows of some keys; those that do not exist are left out.

        Raises:
            RowRefused: a key is one that no row can have.
        """
        if not keys:
            return {}
        with unavailable("cannot load rows"), _refused():
            records = await self._connection.fetch(build.rows.load, keys)
        return {record[build.projection.key]: build.rows.read(record) for record in records}

    async def commit(self, build: Build, before: Marks, after: Marks, changes: Mapping[str, Change]) -> None:
        """Write changed rows, tallies and checkpoint in one transaction.

        Args:
            before: the whole checkpoint that `changes` were folded from.
            after: the checkpoint of each partition that moves.
            changes: key → row before, row after; None = there is none.

        Raises:
            LostRace: the checkpoint is not at `before`; nothing was written.
            RowRefused: a row or tally cannot be stored; nothing was written.
            ViewsUnavailable: it may or may not have been written; the checkpoint tells.
        """
        with unavailable("cannot write the view"), _refused():
            async with self._connection.transaction():
                # First, because it makes a second copy of the projection wait here, and then lose.
                await self._move_checkpoint(build, before, after)
                await self._write_rows(build, changes)
                await self._connection.execute(_SQL["tell_readers"], build.projection.name)

    async def serve(self, build: Build) -> None:
        """Let readers see this build, and drop all others, in one transaction."""
        name = build.projection.name
        with unavailable("cannot swap the view"):
            async with self._connection.transaction():
                await self._connection.execute(_SQL["lock_projection"], name)
                versions = await self._connection.fetch(_SQL["versions"], name)
                if any(row["served"] and row["version"] == build.version for row in versions):
                    return
                await self._show(build)
                for row in versions:
                    if row["version"] != build.version:
                        await self._drop(Build(build.projection, row["version"]))
                await self._connection.execute(_SQL["serve"], name, build.version)
                await self._connection.execute(_SQL["tell_readers"], name)

    async def note_error(self, build: Build, error: str | None) -> None:
        """Keep why the projection stopped, or that it goes on."""
        with unavailable("cannot note the error"):
            await self._connection.execute(_SQL["note_error"], build.projection.name, build.version, error)

    async def _move_checkpoint(self, build: Build, before: Marks, after: Marks) -> None:
        # All partitions, also those that stay: a row may be folded from events of several.
        partitions = sorted(before)
        now = {**before, **after}
        done = await self._connection.execute(
            _SQL["move_checkpoint"],
            build.projection.name,
            build.version,
            partitions,
            [before[each].position for each in partitions],
            [now[each].position for each in partitions],
            [now[each].epoch for each in partitions],
        )
        if done != f"UPDATE {len(partitions)}":
            raise LostRace(build.projection.name)

    async def _create(self, build: Build, shape: str, log: StoreInfo) -> None:
        for _, table in build.tables:
            for statement in table.create:
                await self._connection.execute(statement)
        name = build.projection.name
        await self._connection.execute(_SQL["add_version"], name, build.version, shape, log.store_id)
        await self._connection.execute(_SQL["add_checkpoints"], name, build.version, log.partitions)

    async def _show(self, build: Build) -> None:
        for name, table in build.tables:
            await self._connection.execute(compiled(DropView(Table(name, MetaData()), if_exists=True)))
            await self._connection.execute(compiled(CreateView(select(table.table), name)))

    async def _drop(self, build: Build) -> None:
        for _, table in build.tables:
            await self._connection.execute(table.drop)
        await self._connection.execute(_SQL["drop_version"], build.projection.name, build.version)

    async def _write_rows(self, build: Build, changes: Mapping[str, Change]) -> None:
        present = [after for _, after in changes.values() if after is not None]
        gone = [key for key, (_, after) in changes.items() if after is None]
        if present:
            await self._connection.execute(build.rows.upsert, *build.rows.columns_of(present))
        if gone:
            await self._connection.execute(build.rows.delete, gone)
        for tally, table in build.tallies:
            added = build.tally_changes(tally, table, changes.values())
            if added:
                await self._connection.execute(table.add, *table.columns_of(added))


@contextmanager
def _refused() -> Iterator[None]:
    """What PostgreSQL will not store however often it is tried becomes `RowRefused`."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as exc:
        # The first line only: what follows quotes the row.
        raise RowRefused(f"PostgreSQL refuses a row: {str(exc).splitlines()[0]}") from exc
    except PydanticSerializationError as exc:
        raise RowRefused("a value of a row has no JSON") from exc


@contextmanager
def unavailable(doing: str) -> Iterator[None]:
    """Errors of the driver and the network become `ViewsUnavailable`."""
    try:
        yield
    except DRIVER_ERRORS as exc:
        raise ViewsUnavailable(f"{doing}: {told(exc)}") from exc
