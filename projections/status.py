"""What people want to know of a projection, from what the read database has of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import asyncpg
import msgspec

from actors.store.sql_files import load_queries
from projections.read_store import unavailable

# A runner that has not reported for so long is dead, stuck, or cannot reach the read database.
SILENT_AFTER_S = 10.0

State = Literal["running", "rebuilding", "paused", "failed"]

_SQL = load_queries("projections", "versions.sql", "projections.sql")


class Lag(msgspec.Struct, frozen=True):
    """How far a view is behind the log.

    Attributes:
        events: of the log that are not in the view.
        seconds: age of the oldest of them, 0 when there is none.
    """

    events: int
    seconds: float


class EventLink(msgspec.Struct, frozen=True):
    """The event in front of which a projection stands; `version` is of its stream."""

    parked_id: int
    stream: str
    version: int
    partition: int
    position: int
    type: str


class Rebuild(msgspec.Struct, frozen=True):
    """A version that is built beside the served one.

    Attributes:
        events: of the log that are in it.
        missing: that are not, up to where it has to get before it is compared and swapped in.
        events_per_s: of all processes that build it.
        seconds_left: at this rate; None when that cannot be said.
        runners: how many processes build it.
        error: why it does not move.
    """

    version: int
    events: int
    missing: int
    events_per_s: float
    seconds_left: float | None
    runners: int
    error: str | None
    stopped_at: EventLink | None


class ProjectionStatus(msgspec.Struct, frozen=True):
    """One projection.

    Attributes:
        version: that is served; 0 = none yet.
        pid: of the process that follows the log with its first share; None = none has reported.
        checkpoint: partition → position of the last event in the view.
        events_per_s: on average over the last seconds.
        error: why it does not move; None when it does.
        stopped_at: the event that it cannot fold; None when that is not the reason.
        parked: how many events are set aside.
        kept: the version that can be taken back.
        rebuild: of the version that is being built, None when there is none.
    """

    name: str
    version: int
    pid: int | None
    state: State
    checkpoint: dict[int, int]
    lag: Lag
    events_per_s: float
    error: str | None
    stopped_at: EventLink | None
    parked: int
    kept: int | None
    rebuild: Rebuild | None


async def read_status(connection: asyncpg.Connection, name: str) -> ProjectionStatus:
    """The status of one projection, also of one that nobody has run yet.

    Raises:
        ViewsUnavailable: the read database is away.
    """
    with unavailable("cannot read the status"):
        # In this order: a runner keeps where it stands before it tells why.
        reports = await connection.fetch(_SQL["reports"], name)
        versions = await connection.fetch(_SQL["states"], name)
    served = next((each for each in versions if each["served"]), None)
    building = next((each for each in reversed(versions) if each["building"]), None)
    kept = next((each["version"] for each in reversed(versions) if not each["served"] and not each["building"]), None)
    following = [each for each in reports if not each["building"]]
    rebuild = _rebuild(building, [each for each in reports if each["building"]])
    error = _error_of(following) if served is not None else None if rebuild is None else rebuild.error
    follows = served is not None and any(each["version"] == served["version"] for each in following)
    return ProjectionStatus(
        name=name,
        version=served["version"] if served is not None else 0,
        pid=following[0]["pid"] if following else None,
        state=_state(served or building, error, moving=follows and rebuild is None),
        checkpoint=_checkpoint(served) if served is not None else {},
        lag=_lag(following),
        events_per_s=sum(each["events_per_s"] for each in following),
        error=error,
        stopped_at=_link(served or building),
        parked=served["parked"] if served is not None else 0,
        kept=kept,
        rebuild=rebuild,
    )


def _state(version: Any, error: str | None, *, moving: bool) -> State:
    if error is not None:
        return "failed"
    if version is not None and version["paused"]:
        return "paused"
    return "running" if moving else "rebuilding"


def _error_of(reports: Sequence[Any]) -> str | None:
    """The first trouble of some runners."""
    for report in reports:
        if report["error"] is not None:
            return str(report["error"])
        if report["age_s"] > SILENT_AFTER_S:
            return f"process {report['pid']} has said nothing for {report['age_s']:.0f} s"
    return None


def _rebuild(building: Any, reports: Sequence[Any]) -> Rebuild | None:
    if building is None:
        return None
    current = [each for each in reports if each["version"] == building["version"]]
    per_s = sum(each["events_per_s"] for each in current)
    missing = sum(each["lag_events"] for each in current)
    return Rebuild(
        version=building["version"],
        events=sum(_checkpoint(building).values()),
        missing=missing,
        events_per_s=per_s,
        seconds_left=missing / per_s if per_s else None,
        runners=len(current),
        # Of the one that looks after it, which notices by itself when a helper is lost.
        error=_error_of([each for each in reports if each["share"] == 0]),
        stopped_at=_link(building),
    )


def _lag(following: Sequence[Any]) -> Lag:
    return Lag(
        sum(each["lag_events"] for each in following),
        max((each["lag_seconds"] for each in following), default=0.0),
    )


def _checkpoint(version: Any) -> dict[int, int]:
    return msgspec.json.decode(version["checkpoint"], type=dict[int, int], strict=False)


def _link(version: Any) -> EventLink | None:
    if version is None or version["stopped_at"] is None:
        return None
    return msgspec.json.decode(version["stopped_at"], type=EventLink)
