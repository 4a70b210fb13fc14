"""What can go wrong on the read side.

ProjectionsError
├── ViewsUnavailable     the read database is away, or the view is not built yet
├── PoisonEvent          an event that a projection cannot fold; it stops there
├── LogHasGap            a position is missing; it stops there
├── WrongLog             the view was built from another log, or from more than there is; it stops
├── RowRefused           rows that cannot be stored as they are; nothing was written
├── LostRace             another copy of the projection was faster; nothing was written
├── InvalidQuery         a value in the query is one that no row can have
└── InvalidCursor        the text is no cursor of this query
"""

from __future__ import annotations


class ProjectionsError(Exception):
    """Root of the errors of this package."""


class ViewsUnavailable(ProjectionsError):
    """The read database cannot be reached, or the view is not built yet. Ask again later."""


class PoisonEvent(ProjectionsError):
    """A projection cannot fold an event, and does not move past it."""

    def __init__(self, stream: str, version: int, type: str, reason: str) -> None:
        super().__init__(stream, version, type, reason)
        self.stream, self.version, self.type, self.reason = stream, version, type, reason

    def __str__(self) -> str:
        return f"{self.type} at version {self.version} of {self.stream}: {self.reason}"


class LogHasGap(ProjectionsError):
    """A position of the log is missing; a view built past it would be wrong."""

    def __init__(self, partition: int, expected: int, found: int) -> None:
        super().__init__(partition, expected, found)
        self.partition, self.expected, self.found = partition, expected, found

    def __str__(self) -> str:
        return f"partition {self.partition} of the log goes on at {self.found} instead of {self.expected}"


class WrongLog(ProjectionsError):
    """The view was built from another log, or from events that this one no longer has; nothing was written."""


class RowRefused(ProjectionsError):
    """Rows or tallies of a batch cannot be stored as they are; nothing of the batch was written."""


class LostRace(ProjectionsError):
    """Another copy of the projection has moved the checkpoint; nothing was written here."""


class InvalidQuery(ProjectionsError):
    """A value in the query is one that no row can have, such as text with a NUL character."""


class InvalidCursor(ProjectionsError):
    """The text is no cursor of this query; begin without one."""
