"""Events that a projection cannot fold: somebody parks, skips or retries them. The order within each row is kept.

What is parked of a row is one queue, in its order, as in the sequenced dead letter queues of Axon: an event behind one
that is parked waits there, and a retry folds the queue from its front. Where the row of an event is not known, the
later events of its stream wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec
from pydantic import BaseModel

from actors.store.event_store import LoggedEvent
from actors.store.sql_files import load_queries
from projections.build import Build
from projections.errors import NotParked, NotPossible, RowRefused
from projections.folding import Aside, Folding, Portion, Step
from projections.projection import AnyProjection
from projections.read_store import ReadStore, unavailable

_SQL = load_queries("projections", "parked.sql", "versions.sql", "projections.sql")


class ParkedEvent(msgspec.Struct, frozen=True):
    """An event that is not folded.

    Attributes:
        version: of the view.
        key: of the row; None when it is not known.
        state: `stopped`, the view stands in front of it; `parked`, set aside; `skipped`, left out for ever.
        error: why it cannot be folded; None when it only waits behind another one of its row.
    """

    id: int
    version: int
    partition: int
    position: int
    epoch: int
    key: str | None
    stream: str
    stream_version: int
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    state: Literal["stopped", "parked", "skipped"]
    error: str | None
    since: datetime


class Decided(msgspec.Struct, frozen=True):
    """What became of the events of a row.

    Attributes:
        folded: how many were folded now.
        waiting: how many are still parked.
        error: why the first of these cannot be folded; None when nothing is parked any more.
    """

    folded: int
    waiting: int
    error: str | None


class Parking:
    """What is parked of one projection.

    Args:
        views: a connection that is used for nothing else meanwhile.
    """

    def __init__(self, views: ReadStore, projection: AnyProjection) -> None:
        self._views = views
        self._connection: asyncpg.Connection = views.connection
        self._projection = projection
        self._folding = Folding(projection)

    async def list(self, limit: int) -> Sequence[ParkedEvent]:
        """What is not folded in the versions that are served or built, the oldest first."""
        with unavailable("cannot read what is parked"):
            rows = await self._connection.fetch(_SQL["list"], self._projection.name, limit)
        return [_parked(row) for row in rows]

    async def park(self, parked_id: int) -> Decided:
        """Set the event aside at which the view stands, so that it goes on with all other rows.

        Raises:
            NotParked: there is no such event.
            NotPossible: the view does not stand in front of it.
        """
        with unavailable("cannot park"):
            async with self._connection.transaction():
                event = await self._find(parked_id)
                await self._pass(event, "parked")
                await self._connection.execute(_SQL["tell"], self._projection.name)
        return Decided(0, 1, event.error)

    async def skip(self, parked_id: int) -> Decided:
        """Leave one event out for ever; what waits behind it is folded.

        Raises as `park`.
        """
        with unavailable("cannot skip"):
            async with self._connection.transaction():
                event = await self._find(parked_id)
                if event.state == "stopped":
                    await self._pass(event, "skipped")
                    decided = Decided(0, 0, None)
                elif event.state == "parked":
                    await self._connection.execute(_SQL["set_state"], event.id, "skipped", event.error)
                    decided = await self._fold_row(event)
                else:
                    raise NotPossible(
                        f"event {event.id} of {self._projection.name} is skipped already; nothing is left to do"
                    )
                await self._connection.execute(_SQL["tell"], self._projection.name)
        return decided

    async def retry(self, parked_id: int) -> Decided:
        """Fold what is parked of the row of an event, in its order, as far as it goes.

        Of an event at which the view stands: the view tries again, by itself.

        Raises as `park`; also of an event that was skipped.
        """
        with unavailable("cannot retry"):
            async with self._connection.transaction():
                event = await self._find(parked_id)
                if event.state == "skipped":
                    raise NotPossible(f"event {event.id} of {self._projection.name} was skipped, and that is for ever")
                decided = Decided(0, 0, None) if event.state == "stopped" else await self._fold_row(event)
                await self._connection.execute(_SQL["tell"], self._projection.name)
        return decided

    async def _find(self, parked_id: int) -> ParkedEvent:
        """The event, while nobody moves its version on until the end of the transaction."""
        row = await self._connection.fetchrow(_SQL["find"], self._projection.name, parked_id)
        if row is None:
            raise NotParked(f"nothing that {self._projection.name} has not folded has the id {parked_id}")
        await self._connection.fetch(_SQL["hold"], self._projection.name, row["version"])
        # Again: before it was held, somebody may have decided.
        row = await self._connection.fetchrow(_SQL["find"], self._projection.name, parked_id)
        if row is None:
            raise NotParked(f"nothing that {self._projection.name} has not folded has the id {parked_id}")
        return _parked(row)

    async def _pass(self, event: ParkedEvent, state: str) -> None:
        if event.state != "stopped":
            raise NotPossible(
                f"{self._projection.name} does not stand in front of event {event.id}; look at the list again"
            )
        place = (self._projection.name, event.version, event.partition, event.position, event.epoch)
        if await self._connection.execute(_SQL["pass"], *place) != "UPDATE 1":
            raise NotPossible(
                f"{self._projection.name} does not stand in front of event {event.id} any more; look at the list again"
            )
        await self._connection.execute(_SQL["set_state"], event.id, state, event.error)

    async def _fold_row(self, event: ParkedEvent) -> Decided:
        build = Build(self._projection, event.version)
        name, version = self._projection.name, event.version
        queue = await self._connection.fetch(_SQL["row_of"], name, version, event.key, event.stream)
        reasons = []
        for each in queue:
            reason = await self._fold(build, each)
            if reason is not None:
                reasons.append(reason)
        return Decided(len(queue) - len(reasons), len(reasons), reasons[0] if reasons else None)

    async def _fold(self, build: Build, row: Any) -> str | None:
        """Fold one event and write its row. Returns why it cannot be; then nothing is written."""
        step = self._folding.step(_logged(row))
        # A row that was not known may be known by now.
        key = row["key"] if step is None or step.key is None else step.key
        place = (self._projection.name, build.version, key, row["stream"], row["id"])
        in_front: str | None = await self._connection.fetchval(_SQL["in_front"], *place)
        if in_front is not None:
            return in_front
        try:
            if step is not None:
                async with self._connection.transaction():
                    await self._write(build, step)
        except RowRefused as exc:
            await self._connection.execute(_SQL["set_state"], row["id"], "parked", str(exc))
            return str(exc)
        await self._connection.execute(_SQL["forget"], row["id"])
        return None

    async def _write(self, build: Build, step: Step) -> None:
        keys = [step.key] if step.fold is not None and step.key is not None else []
        before: dict[str, BaseModel] = await self._views.load(build, keys)
        folded = self._folding.fold(Portion([step], {step.event.partition: step.event.position}), before, Aside())
        if folded.poison is not None:
            raise RowRefused(folded.poison.reason)
        checkpoint, _ = await self._views.place(build)
        await self._views.commit(build, checkpoint, {}, folded)
        await self._connection.execute(_SQL["wait_for_disk"])


def _parked(row: Any) -> ParkedEvent:
    return ParkedEvent(**{**dict(row), "data": msgspec.json.decode(row["data"])})


def _logged(row: Any) -> LoggedEvent:
    place = (row["partition"], row["position"], row["stream"], row["stream_version"])
    return LoggedEvent(*place, row["type"], row["data"], row["epoch"], row["recorded_at"])
