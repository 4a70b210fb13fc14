"""The read database, as one that moves a version of a view on writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Self

import asyncpg
import msgspec

from actors.store.driver import DRIVER_ERRORS, SERVER, told
from actors.store.event_store import Mark, Marks
from actors.store.migrations import migrate
from actors.store.sql_files import load_queries
from projections.build import Build, Change
from projections.errors import LostRace, PoisonEvent, RowRefused, ViewsUnavailable
from projections.folding import Aside, Folded, Step

CONNECT_TIMEOUT_S = 5.0
# A process that stands still in a transaction has locks that a view waits for; the server ends it then.
IDLE_IN_TRANSACTION = "30s"
_SESSION_SETTINGS = {"application_name": "rayleans projection", "lock_timeout": "10s"}
STATEMENT_TIMEOUT_S = 60.0
ORDERS_CHANNEL = "rayleans_projections"
CALLS_CHANNEL = "rayleans_readers"

_SQL = load_queries("projections", "projections.sql", "parked.sql")


class RunnerReport(msgspec.Struct, frozen=True):
    """What a process that works on a projection says of itself.

    Attributes:
        building: whether it builds a version beside the served one; else it follows the log.
        share: which part of the partitions is its, from 0.
        version: that it works on; 0 = none.
        events_per_s: of the log, on average over the last seconds.
        lag_events: of its partitions that are not in the version.
        lag_seconds: age of the oldest of them, 0 when there is none.
        error: why it does not move; None when it does.
    """

    building: bool
    share: int
    version: int
    pid: int
    events_per_s: float
    lag_events: int
    lag_seconds: float
    error: str | None


class ReadStore:
    """One connection to the read database. Any error ends it; a new one goes on from the checkpoint.

    Attributes:
        orders: set when somebody has ordered something about the projection that was listened for.
        calls: set when somebody waits for its view.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.orders = asyncio.Event()
        self.calls = asyncio.Event()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and bring the schema up to date.

        Raises:
            ViewsUnavailable: no connection.
        """
        with unavailable("cannot connect"):
            connection = await asyncpg.connect(
                url,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                server_settings={**_SESSION_SETTINGS, "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION},
                target_session_attrs=SERVER,
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
        self.connection.terminate()

    async def listen(self, name: str) -> None:
        """From now on, set `orders` when somebody orders something about a projection, and `calls`."""

        def hear(_: object, __: int, channel: str, heard: object) -> None:
            if heard == name:
                (self.orders if channel == ORDERS_CHANNEL else self.calls).set()

        with unavailable("cannot listen"):
            await self.connection.add_listener(ORDERS_CHANNEL, hear)
            await self.connection.add_listener(CALLS_CHANNEL, hear)

    async def wait_for_orders(self, timeout_s: float) -> None:
        """Return when somebody has ordered something, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.orders.wait()

    async def place(self, build: Build) -> tuple[Marks, Aside]:
        """Partition → mark of the last event that is done with, and what is set aside.

        Raises:
            ViewsUnavailable: also when this version was dropped meanwhile.
        """
        name, version = build.projection.name, build.version
        with unavailable("cannot read the checkpoint"):
            # In this order: whoever sets something aside moves the checkpoint, which the next commit notices.
            rows = await self.connection.fetch(_SQL["checkpoint"], name, version)
            parked = await self.connection.fetch(_SQL["aside"], name, version)
        if not rows:
            raise ViewsUnavailable(f"version {version} of the view {name} was dropped")
        aside = Aside(
            {row["key"] for row in parked if row["key"] is not None},
            {row["stream"] for row in parked if row["key"] is None},
            sum(row["key"] is None for row in parked),
        )
        return {row["partition"]: Mark(row["position"], row["epoch"]) for row in rows}, aside

    async def load(self, build: Build, keys: Sequence[str]) -> dict[str, Any]:
        """The rows of some keys; those that do not exist are left out.

        Raises:
            RowRefused: a key is one that no row can have.
        """
        if not keys:
            return {}
        with unavailable("cannot load rows"), refused():
            records = await self.connection.fetch(build.rows.load, keys)
        return {record[build.projection.key]: build.rows.read(record) for record in records}

    async def commit(self, build: Build, before: Marks, after: Marks, folded: Folded) -> None:
        """Write changed rows, tallies, what is parked, and the checkpoint in one transaction, or within the caller's.

        Args:
            before: the checkpoint that was folded from: of all partitions whose events may change these rows.
            after: what has moved of it.

        Raises:
            LostRace: the checkpoint is not at `before`, or parked events were decided meanwhile; nothing was written.
            RowRefused: a row or tally cannot be stored; nothing was written.
            ViewsUnavailable: it may or may not have been written; the checkpoint tells.
        """
        with unavailable("cannot write the view"), refused():
            # Nearly always it is one statement, which is a transaction of its own.
            several = folded.behind or folded.unlocated
            async with self.connection.transaction() if several else nullcontext():
                # First, because it makes a second copy of the projection wait here, and then lose.
                await self._move_on(build, before, after, folded.changes)
                await self._refuse_decided(build, folded.unlocated)
                await self._park_behind(build, folded.behind)

    async def stop(self, build: Build, poison: PoisonEvent) -> bool:
        """Keep at which event the projection stands. Returns whether it was decided before that it goes past it."""
        name, version, event = build.projection.name, build.version, poison.event
        with unavailable("cannot note where the projection stands"):
            async with self.connection.transaction():
                place = (event.partition, event.position, event.epoch)
                of_row = (_storable(poison.key), event.stream, event.version)
                content = (event.type, event.data, event.recorded_at, poison.reason)
                state = await self.connection.fetchval(_SQL["stop"], name, version, *place, *of_row, *content)
                if state == "stopped":
                    return False
                await self.connection.execute(_SQL["pass"], name, version, *place)
                return True

    async def stands(self, build: Build, checkpoint: Mapping[int, int]) -> bool:
        """Whether the projection still stands in front of an event of these partitions; what is passed is forgotten."""
        name, version, partitions = build.projection.name, build.version, list(checkpoint)
        with unavailable("cannot read where the projection stands"):
            await self.connection.execute(_SQL["passed"], name, version, partitions, list(checkpoint.values()))
            return bool(await self.connection.fetchval(_SQL["stands"], name, version, partitions))

    async def report(self, name: str, report: RunnerReport) -> None:
        """Say what this process does."""
        with unavailable("cannot report"):
            await self.connection.execute(_SQL["report"], name, *msgspec.structs.astuple(report))

    async def dismiss(self, name: str, *, building: bool, shares: int) -> None:
        """Forget the runners of a projection from share `shares` on."""
        with unavailable("cannot dismiss runners"):
            await self.connection.execute(_SQL["dismiss"], name, building, shares)

    async def _move_on(self, build: Build, before: Marks, after: Marks, changes: Mapping[str, Change]) -> None:
        partitions = sorted(before)
        now = {**before, **after}
        moved = await self.connection.fetchrow(
            build.move_on,
            build.projection.name,
            build.version,
            partitions,
            [before[each].position for each in partitions],
            [now[each].position for each in partitions],
            [now[each].epoch for each in partitions],
            *build.written(changes),
        )
        if moved is None:
            raise LostRace(build.projection.name)

    async def _refuse_decided(self, build: Build, unlocated: int) -> None:
        """Whatever row an event without a known one was folded into meanwhile, it may be one of these."""
        if unlocated:
            there = await self.connection.fetchval(_SQL["unlocated"], build.projection.name, build.version)
            if there != unlocated:
                raise LostRace(build.projection.name)

    async def _park_behind(self, build: Build, behind: Sequence[Step]) -> None:
        if not behind:
            return
        columns = zip(
            *(
                (
                    step.event.partition,
                    step.event.position,
                    step.event.epoch,
                    _storable(step.key),
                    step.event.stream,
                    step.event.version,
                    step.event.type,
                    step.event.data,
                    step.event.recorded_at,
                    step.poison,
                )
                for step in behind
            ),
            strict=True,
        )
        name, version = build.projection.name, build.version
        done = await self.connection.execute(_SQL["park_behind"], name, version, *map(list, columns))
        if done != f"INSERT 0 {len(behind)}":
            raise LostRace(name)


def _storable(key: str | None) -> str | None:
    return None if key is None or "\0" in key else key


@contextmanager
def refused() -> Iterator[None]:
    """What PostgreSQL will not store however often it is tried becomes `RowRefused`."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as exc:
        # The first line only: what follows quotes the row.
        raise RowRefused(f"PostgreSQL refuses a row: {str(exc).splitlines()[0]}") from exc


@contextmanager
def unavailable(doing: str) -> Iterator[None]:
    """Errors of the driver and the network become `ViewsUnavailable`."""
    try:
        yield
    except DRIVER_ERRORS as exc:
        raise ViewsUnavailable(f"{doing}: {told(exc)}") from exc
