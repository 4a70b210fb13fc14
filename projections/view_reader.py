"""The read database, as the gateway asks it: rows and the checkpoint they belong to, in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec
from pydantic import BaseModel
from sqlalchemy import BigInteger, Text, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from actors.store.driver import SERVER
from actors.store.event_store import Mark, Marks
from projections.errors import InvalidQuery, ViewsUnavailable
from projections.point_reads import PointReads
from projections.projection import AnyProjection, Projection
from projections.query import Query, row_table
from projections.read_store import unavailable
from projections.watch import Watch

CONNECT_TIMEOUT_S = 5.0
QUERY_TIMEOUT_S = 10.0
POOL_SIZE = 8
# However many wait in vain for a view that is only slow.
CONNECTED_AT_LEAST_S = 1.0
_SESSION_SETTINGS = {"application_name": "rayleans gateway", "statement_timeout": f"{QUERY_TIMEOUT_S:.0f}s"}

_checkpoint = msgspec.json.Decoder(dict[int, Mark], strict=False)

R = TypeVar("R", bound=BaseModel)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Seen(Generic[V]):
    """An answer, and how far its view was when it was given."""

    value: V
    checkpoint: Marks


class ViewReader:
    """Asks views. Connects on first use, and again after every loss of the database."""

    def __init__(self, url: str, projections: Sequence[AnyProjection]) -> None:
        self._url = url
        self._projections = projections
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._watch = Watch(url)
        self._connected_until = 0.0
        self._point_reads: dict[AnyProjection, PointReads[Any]] = {}

    def serves(self, projection: AnyProjection) -> bool:
        """Whether the service has this view."""
        return projection in self._projections

    async def get(self, projection: Projection[R], key: str) -> Seen[R | None]:
        """One row, None when there is none.

        Raises:
            InvalidQuery: no row can have this key.
            ViewsUnavailable: the read database is away, or the view is not built yet.
        """
        if not _is_text(key):
            raise InvalidQuery("the key is no text that can be stored")
        reads = self._point_reads.get(projection)
        if reads is None:
            reads = self._point_reads[projection] = PointReads(partial(self._by_key, projection))
        seen: Seen[R | None] = await reads.get(key)
        return seen

    async def page(self, projection: Projection[R], *, after: str | None, limit: int) -> Seen[list[R]]:
        """The next rows by key, at most `limit`. Raises as `get`."""
        seen = await self.select(projection, _next_by_key(projection), after=after or "", limit=limit)
        return Seen(read_rows(projection, seen.value), seen.checkpoint)

    async def select(self, projection: AnyProjection, query: Query, **arguments: object) -> Seen[list[asyncpg.Record]]:
        """The records that a query on the tables of a projection finds.

        Raises:
            InvalidQuery: an argument is one that PostgreSQL cannot compare with anything.
            ViewsUnavailable: as `get`.
        """
        with unavailable("cannot read the view"):
            try:
                records = await self._fetch(query.sql, query.in_order({**arguments, "projection": projection.name}))
            except asyncpg.DataError as exc:
                raise InvalidQuery(str(exc)) from exc
        checkpoint = records[0]["checkpoint"]
        if checkpoint is None:
            raise ViewsUnavailable(f"the view {projection.name} is not built yet")
        return Seen(
            [record for record in records if record["place"] is not None],
            _checkpoint.decode(checkpoint),
        )

    async def wait_until(self, projection: AnyProjection, positions: Mapping[int, int], timeout_s: float) -> bool:
        """Whether the view has everything up to `positions`, now or within `timeout_s` seconds."""
        return await self._watch.wait_until(projection.name, positions, timeout_s)

    async def connect_anew(self) -> None:
        """For whoever has waited in vain: ask, and watch, on new connections from now on, unless these are new.

        The address may lead to another server now, and connections to the former one may live on.
        """
        now = asyncio.get_running_loop().time()
        if now > self._connected_until:
            self._connected_until = now + CONNECTED_AT_LEAST_S
            self._watch.connect_anew()
            if self._pool is not None:
                await self._pool.expire_connections()

    async def not_ready(self) -> list[str]:
        """Why queries cannot be answered at the moment, one sentence each; empty when they can."""
        complaints = []
        for projection in self._projections:
            try:
                await self.page(projection, after=None, limit=0)
            except ViewsUnavailable as exc:
                complaints.append(f"view {projection.name}: {exc}")
        return complaints

    async def close(self) -> None:
        """Let go of all connections."""
        await self._watch.close()
        if self._pool is not None:
            self._pool.terminate()

    async def _by_key(self, projection: Projection[R], keys: Sequence[str]) -> Mapping[str, Seen[R | None]]:
        seen = await self.select(projection, _by_keys(projection), keys=keys)
        found = {getattr(row, projection.key): row for row in read_rows(projection, seen.value)}
        return {key: Seen(found.get(key), seen.checkpoint) for key in keys}

    async def _fetch(self, sql: str, arguments: Sequence[object]) -> list[asyncpg.Record]:
        """All in one time, with the wait for a connection that is free."""
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            pool = await self._connected()
            connection = await pool.acquire()
            try:
                return await connection.fetch(sql, *arguments)
            except (TimeoutError, asyncio.CancelledError):
                # Given back, it would be waited for until the server has heard that nobody wants the answer.
                connection.terminate()
                raise
            finally:
                await pool.release(connection)

    async def _connected(self) -> asyncpg.Pool:
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=CONNECT_TIMEOUT_S,
                    server_settings=_SESSION_SETTINGS,
                    target_session_attrs=SERVER,
                    reset=_leave_as_it_is,
                )
        return self._pool


def read_rows(projection: Projection[R], records: Sequence[asyncpg.Record]) -> list[R]:
    """The rows of a projection from records that have its columns."""
    shape = row_table(projection)
    return [shape.read(record) for record in records]


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Queries change nothing on their connection, so cleaning it up would be a round trip for nothing."""


def _is_text(key: str) -> bool:
    """Whether PostgreSQL has text like this: UTF-8 without NUL."""
    try:
        return b"\0" not in key.encode()
    except UnicodeEncodeError:
        return False


@cache
def _by_keys(projection: AnyProjection) -> Query:
    rows = row_table(projection).table
    return Query(select(rows).where(rows.c[projection.key] == any_(bindparam("keys", type_=ARRAY(Text)))))


@cache
def _next_by_key(projection: AnyProjection) -> Query:
    rows = row_table(projection).table
    key = rows.c[projection.key]
    after, limit = bindparam("after", type_=Text()), bindparam("limit", type_=BigInteger())
    return Query(select(rows).where(key > after).order_by(key).limit(limit), key)
