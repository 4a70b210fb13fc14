"""What can go wrong on the read side.

ProjectionsError
├── ViewsUnavailable     the read database is away, or the view is not built yet
├── PoisonEvent          an event that a projection cannot fold; it stops there
├── LogHasGap            a position is missing; it stops there
├── WrongLog             the view was built from another log, or from more than there is; it stops
├── RowRefused           rows that cannot be stored as they are; nothing was written
├── LostRace             another copy of the projection was faster; nothing was written
├── RowsDiffer           a version that was built anew has other rows than the served one; it is not served
├── UnknownProjection    the domain has none of this name
├── NotParked            the projection has no such event that it did not fold
├── NotPossible          the projection is not in a state in which that can be done; nothing was done
├── InvalidQuery         a value in the query is one that no row can have
└── InvalidCursor        the text is no cursor of this query
"""

from __future__ import annotations

from actors.store.event_store import LoggedEvent, RecordedEvent


class ProjectionsError(Exception):
    """Root of the errors of this package."""


class ViewsUnavailable(ProjectionsError):
    """The read database cannot be reached, or the view is not built yet. Ask again later."""


class PoisonEvent(ProjectionsError):
    """A projection cannot fold an event, and does not move past it.

    Attributes:
        event: as it is in the log.
        key: of the row that it is about; None when that cannot be said.
    """

    def __init__(self, event: LoggedEvent | RecordedEvent, key: str | None, reason: str) -> None:
        super().__init__(event, key, reason)
        self.event, self.key, self.reason = event, key, reason

    def __str__(self) -> str:
        return f"{self.event.type} at version {self.event.version} of {self.event.stream}: {self.reason}"


class LogHasGap(ProjectionsError):
    """Positions of the log are missing; a view built past them would be wrong."""

    def __init__(self, partition: int, position: int, missing: int) -> None:
        super().__init__(partition, position, missing)
        self.partition, self.position, self.missing = partition, position, missing

    def __str__(self) -> str:
        return f"partition {self.partition} of the log lacks {self.missing} events up to position {self.position}"


class WrongLog(ProjectionsError):
    """The view was built from another log, or from events that this one no longer has; nothing was written."""


class RowRefused(ProjectionsError):
    """Rows or tallies of a batch cannot be stored as they are; nothing of the batch was written."""


class LostRace(ProjectionsError):
    """Another copy of the projection has moved the checkpoint; nothing was written here."""


class RowsDiffer(ProjectionsError):
    """A version that was built anew has other rows than the served one at the same position; it is not served."""


class UnknownProjection(ProjectionsError):
    """The domain has no projection of this name."""


class NotParked(ProjectionsError):
    """The projection has no such event that it did not fold."""


class NotPossible(ProjectionsError):
    """The projection is not in a state in which that can be done; nothing was done."""


class InvalidQuery(ProjectionsError):
    """A value in the query is one that no row can have, such as text with a NUL character."""


class InvalidCursor(ProjectionsError):
    """The text is no cursor of this query; begin without one."""
