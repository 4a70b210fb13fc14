"""The versions of a projection: which is served, which is built beside it, which is kept; made, swapped and dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData, Table, select
from sqlalchemy.sql.ddl import CreateView, DropView

from actors.store.event_store import StoreInfo
from actors.store.sql_files import load_queries
from projections.build import Build, fingerprint
from projections.errors import NotPossible, ViewsUnavailable, WrongLog
from projections.projection import AnyProjection
from projections.read_store import unavailable
from projections.tables import compiled

_SQL = load_queries("projections", "versions.sql")

# For what takes as long as there are rows.
HOURS_S = 86_400.0

Digest = tuple[int, int]  # how many rows, and their checksum


class Versions:
    """The versions of one projection.

    Args:
        connection: to the read database; the transactions are made here.
    """

    def __init__(self, connection: asyncpg.Connection, projection: AnyProjection) -> None:
        self._connection = connection
        self._projection = projection
        self._name = projection.name
        self._shape = fingerprint(projection)

    async def served(self, log: StoreInfo) -> tuple[Build, bool] | None:
        """The served version, if it is one of this release, and whether it is paused.

        Raises:
            WrongLog: there is one that was built from another log.
        """
        with unavailable("cannot read the versions"):
            rows = await self._rows()
        self._refuse_other_log(rows, log)
        served = [row for row in rows if row["served"] and row["fingerprint"] == self._shape]
        return (self._build(served[0]), served[0]["paused"]) if served else None

    async def wanted(self, log: StoreInfo, *, takes_over: bool = True) -> tuple[Build, bool] | None:
        """The version that is to be built, and whether it is paused.

        Args:
            takes_over: from another release: this one makes a version, or builds on one that is kept.

        Returns:
            None when there is nothing to build.

        Raises:
            WrongLog: there is one that was built from another log.
        """
        with unavailable("cannot prepare the view"):
            async with self._connection.transaction():
                rows = await self._locked_rows()
                self._refuse_other_log(rows, log)
                same = [row for row in rows if row["fingerprint"] == self._shape]
                building = [row for row in same if row["building"]]
                if building:
                    return self._build(building[-1]), building[-1]["paused"]
                if any(row["served"] for row in (same if takes_over else rows)):
                    return None
                if same:
                    await self._connection.execute(_SQL["build"], self._name, same[-1]["version"], True)
                    return self._build(same[-1]), same[-1]["paused"]
                return await self._add(rows, log.store_id, log.partitions), any(row["paused"] for row in rows)

    async def rebuild(self) -> int:
        """Begin to build a new version beside the served one. Returns its number.

        Raises:
            NotPossible: the served one is of another release, or paused, or a new one is being built.
        """
        with unavailable("cannot begin to rebuild"):
            async with self._connection.transaction():
                rows = await self._locked_rows()
                served = next((row for row in rows if row["served"]), None)
                if served is None or served["fingerprint"] != self._shape or any(row["building"] for row in rows):
                    raise NotPossible(f"a version of {self._name} is being built already; wait for it, or take it back")
                if served["paused"]:
                    raise NotPossible(f"{self._name} is paused; resume it first")
                for row in rows:
                    if not row["served"]:
                        await self._drop(row["version"])
                partitions = await self._connection.fetchval(_SQL["partitions"], self._name, served["version"])
                build = await self._add(rows, served["log"], partitions)
                await self._tell()
                return build.version

    async def take_back(self) -> int:
        """Give a rebuild up, or when it is served already, build on the version that was served before it.

        Returns:
            The version that is served, or will be as soon as it has caught up.

        Raises:
            NotPossible: there is nothing to take back, or it is of another release.
        """
        with unavailable("cannot take the rebuild back"):
            async with self._connection.transaction():
                rows = await self._locked_rows()
                served = next((row for row in rows if row["served"]), None)
                building = [row for row in rows if row["building"]]
                kept = [row for row in rows if not row["served"] and not row["building"]]
                if served is None or not (building or kept):
                    raise NotPossible(f"there is no rebuild of {self._name} to take back; rebuild begins one")
                if building:
                    await self._give_up(building, served)
                    version = served["version"]
                elif kept[-1]["fingerprint"] != self._shape:
                    raise NotPossible(
                        f"version {kept[-1]['version']} of {self._name} was built by another release; start that one"
                    )
                else:
                    version = kept[-1]["version"]
                    await self._connection.execute(_SQL["build"], self._name, version, True)
                await self._tell()
                return int(version)

    async def accept(self) -> int:
        """Let the version that is being built be served although its rows differ. Returns its number.

        Raises:
            NotPossible: there is none.
        """
        with unavailable("cannot accept"):
            async with self._connection.transaction():
                building = [row for row in await self._locked_rows() if row["building"]]
                if not building:
                    raise NotPossible(
                        f"no version of {self._name} is being built that could be accepted; rebuild begins one"
                    )
                version: int = building[-1]["version"]
                await self._connection.execute(_SQL["build"], self._name, version, True)
                await self._tell()
                return version

    async def drop_kept(self) -> Sequence[int]:
        """Drop the versions that are neither served nor being built. Returns their numbers."""
        with unavailable("cannot drop versions"):
            async with self._connection.transaction():
                kept = [row for row in await self._locked_rows() if not row["served"] and not row["building"]]
                for row in kept:
                    await self._drop(row["version"])
                return [row["version"] for row in kept]

    async def pause(self, paused: bool) -> None:
        """Let all versions stand still, or go on."""
        with unavailable("cannot pause or resume"):
            async with self._connection.transaction():
                await self._locked_rows()
                await self._connection.execute(_SQL["pause"], self._name, paused)
                await self._tell()

    async def must_be_compared(self, build: Build) -> Build | None:
        """The served version that a new one has to be equal to, before it may be served; None when there is none."""
        with unavailable("cannot read the versions"):
            rows = await self._rows()
        served = [row for row in rows if row["served"] and row["fingerprint"] == self._shape]
        return self._build(served[0]) if served and not await self.is_accepted(build) else None

    async def is_accepted(self, build: Build) -> bool:
        """Whether somebody lets a version be served although it may differ from the served one."""
        with unavailable("cannot read the versions"):
            return any(row["accepted"] for row in await self._rows() if row["version"] == build.version)

    async def served_version(self) -> int | None:
        """The number of the served version, also when it is one of another release."""
        with unavailable("cannot read the versions"):
            return next((int(row["version"]) for row in await self._rows() if row["served"]), None)

    @asynccontextmanager
    async def held(self, version: int) -> AsyncIterator[Mapping[int, int]]:
        """Until the block ends, nobody moves a version on; gives its checkpoint."""
        with unavailable("cannot hold the served version"):
            async with self._connection.transaction():
                rows = await self._connection.fetch(_SQL["hold"], self._name, version)
                yield {row["partition"]: row["position"] for row in rows}

    async def index(self, build: Build) -> None:
        """Make the indexes of a version that was filled without them, however long it takes."""
        with unavailable("cannot make the indexes"):
            for _, table in build.tables:
                for statement in table.create_indexes:
                    await self._connection.execute(statement, timeout=HOURS_S)
                await self._connection.execute(table.analyze, timeout=HOURS_S)

    async def serve(self, build: Build, instead_of: int | None) -> None:
        """Let readers see a version, keep the one they saw before, and drop all others, in one transaction.

        Args:
            instead_of: number of the version that they see; None = none.

        Raises:
            ViewsUnavailable: also when this version is not to be served any more, or they see another one meanwhile.
        """
        with unavailable("cannot swap the view"):
            async with self._connection.transaction():
                rows = await self._locked_rows()
                served = next((row["version"] for row in rows if row["served"]), None)
                wanted = [row["version"] for row in rows if row["building"]]
                if served != instead_of or build.version not in wanted:
                    raise ViewsUnavailable(f"somebody was faster than version {build.version} of the view {self._name}")
                await self._show(build)
                for row in rows:
                    if not row["served"] and row["version"] != build.version:
                        await self._drop(row["version"])
                await self._connection.execute(_SQL["keep"], self._name)
                await self._connection.execute(_SQL["serve"], self._name, build.version)
                await self._tell()

    async def digests(self, build: Build, other: Build) -> tuple[Sequence[Digest], Sequence[Digest]]:
        """How many rows two versions have in each table, and checksums of them, in the snapshot of the caller.

        Rows of which an event is set aside in one of them may differ, so these are left out, and tallies with them.
        """
        with unavailable("cannot compare the versions"):
            rows = await self._connection.fetch(_SQL["set_aside_keys"], self._name, [build.version, other.version])
            keys = sorted({row["key"] for row in rows if row["key"] is not None})
            return await self._digest(build, keys), await self._digest(other, keys)

    async def _digest(self, build: Build, without: Sequence[str]) -> Sequence[Digest]:
        found = await self._connection.fetch(build.rows.digest, without, timeout=HOURS_S)
        if not without:
            for _, table in build.tallies:
                found += await self._connection.fetch(table.digest, timeout=HOURS_S)
        return [(int(each["rows"]), int(each["checksum"])) for each in found]

    async def _rows(self) -> list[asyncpg.Record]:
        return list(await self._connection.fetch(_SQL["versions"], self._name))

    async def _locked_rows(self) -> list[asyncpg.Record]:
        await self._connection.execute(_SQL["lock_projection"], self._name)
        return await self._rows()

    def _build(self, row: Any) -> Build:
        return Build(self._projection, row["version"])

    def _refuse_other_log(self, rows: Sequence[Any], log: StoreInfo) -> None:
        if any(row["log"] != log.store_id for row in rows):
            raise WrongLog(f"the view {self._name} of this database was built from another log")

    async def _add(self, rows: Sequence[Any], log: UUID, partitions: int) -> Build:
        build = Build(self._projection, max((row["version"] for row in rows), default=0) + 1)
        for _, table in build.tables:
            await self._connection.execute(table.create)
        await self._connection.execute(_SQL["add_version"], self._name, build.version, self._shape, log)
        await self._connection.execute(_SQL["add_checkpoints"], self._name, build.version, partitions)
        return build

    async def _give_up(self, building: Sequence[Any], served: Any) -> None:
        """Drop what is being built; where the served version is of another release, this one has to build."""
        if served["fingerprint"] != self._shape:
            raise NotPossible(f"this release of {self._name} needs the version that is being built; wait for it")
        for row in building:
            await self._drop(row["version"])

    async def _show(self, build: Build) -> None:
        for name, table in build.tables:
            await self._connection.execute(compiled(DropView(Table(name, MetaData()), if_exists=True)))
            await self._connection.execute(compiled(CreateView(select(table.table), name)))

    async def _drop(self, version: int) -> None:
        for _, table in Build(self._projection, version).tables:
            await self._connection.execute(table.drop)
        await self._connection.execute(_SQL["drop_version"], self._name, version)

    async def _tell(self) -> None:
        await self._connection.execute(_SQL["tell"], self._name)
