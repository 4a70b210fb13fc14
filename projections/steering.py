"""What operators do with projections, each as one transaction in the read database.

The processes that run a projection are told by a notification, and look there what they have to do: so an order holds
also when none of them is there, and after all of them have died.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from projections.errors import UnknownProjection
from projections.parking import Decided, ParkedEvent, Parking
from projections.projection import AnyProjection
from projections.read_store import ReadStore
from projections.status import ProjectionStatus, read_status
from projections.versions import Versions

Order = Literal["rebuild", "take-back", "accept", "drop-kept", "pause", "resume"]
Decision = Literal["park", "retry", "skip"]


class Steering:
    """Steers the projections of a domain. Orders are rare, so each has a connection of its own.

    All methods raise `ViewsUnavailable` when the read database is away, and `UnknownProjection`.
    """

    def __init__(self, url: str, projections: Sequence[AnyProjection]) -> None:
        self._url = url
        self._projections = {projection.name: projection for projection in projections}

    async def statuses(self) -> Sequence[ProjectionStatus]:
        """Of all projections, in their order."""
        async with self._connected() as views:
            return [await read_status(views.connection, name) for name in self._projections]

    async def status(self, name: str) -> ProjectionStatus:
        """Of one projection."""
        self._find(name)
        async with self._connected() as views:
            return await read_status(views.connection, name)

    async def order(self, name: str, order: Order) -> ProjectionStatus:
        """Do something with a whole projection. Returns its status then.

        Raises:
            NotPossible: it is not in a state in which that can be done.
        """
        projection = self._find(name)
        async with self._connected() as views:
            versions = Versions(views.connection, projection)
            match order:
                case "rebuild":
                    await versions.rebuild()
                case "take-back":
                    await versions.take_back()
                case "accept":
                    await versions.accept()
                case "drop-kept":
                    await versions.drop_kept()
                case "pause" | "resume":
                    await versions.pause(order == "pause")
            return await read_status(views.connection, name)

    async def parked(self, name: str, limit: int) -> Sequence[ParkedEvent]:
        """The events that are not folded."""
        projection = self._find(name)
        async with self._connected() as views:
            return await Parking(views, projection).list(limit)

    async def decide(self, name: str, parked_id: int, decision: Decision) -> Decided:
        """Decide about one of them.

        Raises:
            NotParked: there is no such event.
            NotPossible: that cannot be done with it.
        """
        projection = self._find(name)
        async with self._connected() as views:
            parking = Parking(views, projection)
            match decision:
                case "park":
                    return await parking.park(parked_id)
                case "retry":
                    return await parking.retry(parked_id)
                case "skip":
                    return await parking.skip(parked_id)

    def _find(self, name: str) -> AnyProjection:
        if name not in self._projections:
            raise UnknownProjection(f"there is no projection {name!r}")
        return self._projections[name]

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ReadStore]:
        views = await ReadStore.open(self._url)
        try:
            yield views
        finally:
            await views.close()
