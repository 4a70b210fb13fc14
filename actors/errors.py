"""Everything that can go wrong with a command, and whether it was written.

    ActorsError
    ├── Rejected                 the rules say no                      nothing was written
    ├── WrongExpectedVersion     someone else appended first           nothing was written
    ├── CommandIdReused          the id belongs to another command     nothing was written
    ├── InvalidCommand           no such command, or a bad field       nothing was written
    ├── CommandFailed            decide or evolve has a bug            nothing was written
    ├── Overloaded               a queue is full                       nothing was written
    ├── Unavailable              nobody can take it at the moment      nothing was written
    └── OutcomeUnknown           no answer came back                   perhaps written: retry with the same id

Arguments are positional and reach `super().__init__` unchanged, so that every error survives the pickling
that Ray does.
"""

from __future__ import annotations

from uuid import UUID


class ActorsError(Exception):
    """Root of the errors that a command can end with."""


class Rejected(ActorsError):
    """The rules of the domain refuse the command; nothing was written.

    Args:
        code: stable name of the rule, such as `customer-inactive`.
        message: one sentence for people.
        absent: the actor that the command addresses does not exist yet.
    """

    def __init__(self, code: str, message: str, absent: bool = False) -> None:
        super().__init__(code, message, absent)
        self.code, self.message, self.absent = code, message, absent

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class WrongExpectedVersion(ActorsError):
    """Someone else appended first; nothing was written. Load again and decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(stream, expected, actual)
        self.stream, self.expected, self.actual = stream, expected, actual

    def __str__(self) -> str:
        return f"{self.stream} is at version {self.actual}, not {self.expected}"


class CommandIdReused(ActorsError):
    """The command id was already used for another command; nothing was written now."""

    def __init__(self, command_id: UUID) -> None:
        super().__init__(command_id)
        self.command_id = command_id

    def __str__(self) -> str:
        return f"command id {self.command_id} was already used for another command"


class InvalidCommand(ActorsError):
    """The actor has no such command, or a field does not fit; nothing was written."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CommandFailed(ActorsError):
    """The domain code raised while deciding; nothing was written and only this command is affected."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Overloaded(ActorsError):
    """A bounded queue on the way is full; nothing was written. Try again after a pause."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unavailable(ActorsError):
    """Nobody could take the command in time; nothing was written."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class OutcomeUnknown(ActorsError):
    """No answer came back: the command may have been written. Retry with the same command id to find out."""

    def __init__(self, command_id: UUID, message: str) -> None:
        super().__init__(command_id, message)
        self.command_id, self.message = command_id, message

    def __str__(self) -> str:
        return f"{self.message}; retry with command id {self.command_id}"
