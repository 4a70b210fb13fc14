"""From a problem that a gateway answers back to the error that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx

from actors.errors import (
    ActorsError,
    CommandFailed,
    CommandIdReused,
    InvalidCommand,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)


class NotAllowed(ActorsError):
    """The gateway does not accept the token, or the token not the request; nothing was written."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def error_of(  # noqa: PLR0911 - one table, in one place
    response: httpx.Response, command_id: UUID | None = None, stream: str = "", expected_version: int | None = None
) -> ActorsError:
    """The error of an answer that is not 2xx; see `gateway/http/problems.py` for the other direction.

    Args:
        command_id: None = it was a query.
        stream, expected_version: of the actor that the command was for.
    """
    problem = _problem(response)
    code, detail = str(problem.get("code", "")), str(problem.get("detail", response.reason_phrase))
    match response.status_code:
        case 401 | 403:
            return NotAllowed(f"{detail} ({code})")
        case 404 if code in {"", "not-found"}:
            return InvalidCommand(f"{response.request.url}: {detail}")
        case 404 | 409:
            return Rejected(code, detail, response.status_code == 404)
        case 412:
            return WrongExpectedVersion(stream, expected_version or 0, int(problem.get("actual_version", 0)))
        case 422 if code == "idempotency-key-reused" and command_id is not None:
            return CommandIdReused(command_id)
        case 429:
            return Overloaded(detail)
        case 503:
            return Overloaded(detail) if code == "overloaded" else Unavailable(detail)
        case 500 if code == "command-failed":
            return CommandFailed(detail)
        case status if status >= 500:
            return Unavailable(detail) if command_id is None else OutcomeUnknown(command_id, detail)
        case _:
            return InvalidCommand("; ".join(wrong_fields(problem)) or detail)


def wrong_fields(problem: Mapping[str, Any]) -> Sequence[str]:
    """What a problem says of single fields, beyond its `detail`."""
    errors = [each for each in problem.get("errors", ()) if each["detail"] != problem.get("detail")]
    return [f"{each['pointer']}: {each['detail']}" for each in errors]


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
