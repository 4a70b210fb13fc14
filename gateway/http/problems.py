"""Every answer that is not 2xx: one table from what went wrong to what the caller reads (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from actors.errors import (
    CommandFailed,
    CommandIdReused,
    InvalidCommand,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)
from actors.store.event_store import StoreUnavailable, StoreUnsuitable
from actors.store.token import InvalidToken
from gateway.access.auth import InsufficientScope
from gateway.access.rate import RateLimited
from gateway.access.token_verifier import Unauthenticated
from gateway.http.request_id import request_id_of
from projections.errors import (
    InvalidCursor,
    InvalidQuery,
    NotParked,
    NotPossible,
    PoisonEvent,
    UnknownProjection,
    ViewsUnavailable,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "1"}

NO_SUCH_ADDRESS = "there is nothing at this address; /docs shows all there are"
_NOTHING_DONE = "nothing was done: try again in a moment"
_LOAD_AGAIN = "read it again, and send the command for that version if it still makes sense"
_TELL = "tell the operator the request id, which leads to what went wrong"


class BadRequest(Exception):
    """What the caller sent cannot be used.

    Args:
        status: 4xx.
        code: stable name.
        detail: one sentence.
        errors: `{"pointer": …, "detail": …}` for each field that is wrong.

    Attributes:
        headers: of the answer.
    """

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(status, code, detail, errors)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors
        # What is left of a body that is not read would be taken for the next request.
        self.headers: Mapping[str, str] = {"Connection": "close"} if status in (408, 413) else {}


def invalid(detail: str, pointer: str = "") -> BadRequest:
    """The error for one thing that does not fit.

    Args:
        pointer: JSON pointer to a field of the body, `/` and the name of a parameter or header, or "" for the whole.
    """
    return BadRequest(422, "invalid", detail, [{"pointer": pointer, "detail": detail}])


class NotYetConsistent(Exception):
    """The view did not get to the caller's token in time."""


def not_found(category: str, key: str) -> BadRequest:
    """The error for an actor that does not exist."""
    return BadRequest(
        404,
        f"{category}-not-found",
        f"there is no {category} {key}; if it has just been made, ask with the Consistency-Token of that answer",
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """What a caller reads; `more` are members beside the standard ones."""

    status: int
    code: str
    detail: str
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": f"urn:rayleans:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.more,
        }

    def messages(self, request_id: str) -> tuple[HTTPResponseStartEvent, HTTPResponseBodyEvent]:
        """The answer as ASGI messages, for what happens outside of the framework."""
        body = msgspec.json.encode(self.body(request_id))
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        return (
            {"type": "http.response.start", "status": self.status, "headers": headers},
            {"type": "http.response.body", "body": body, "more_body": False},
        )


def problem_of(error: Exception) -> Problem:  # noqa: C901, PLR0911, PLR0912 - one table, in one place
    """What to tell the caller about an error. 503 promises that nothing was done, 504 promises nothing."""
    match error:
        case Rejected():
            return Problem(404 if error.absent else 409, error.code, error.message)
        case WrongExpectedVersion():
            return Problem(412, "version-mismatch", f"{error}; {_LOAD_AGAIN}", {"actual_version": error.actual})
        case CommandIdReused():
            return Problem(
                422,
                "idempotency-key-reused",
                "the key was already used for another command; give this one a key of its own",
            )
        case InvalidCommand():
            return problem_of(invalid(error.message))
        case CommandFailed():
            return Problem(
                500, "command-failed", f"{error.message}; nothing was done, and trying again does not help: {_TELL}"
            )
        case Overloaded():
            return Problem(503, "overloaded", f"{error.message}; {_NOTHING_DONE}", headers=RETRY_AFTER)
        case Unavailable():
            return Problem(503, "unavailable", f"{error.message}; {_NOTHING_DONE}", headers=RETRY_AFTER)
        case OutcomeUnknown():
            again = "whether it was done is not known: send it again with the same Idempotency-Key"
            return Problem(504, "outcome-unknown", f"{error.message}; {again}")
        case StoreUnsuitable():
            return Problem(503, "unavailable", str(error), headers=RETRY_AFTER)
        case ViewsUnavailable() | StoreUnavailable():
            return Problem(503, "unavailable", f"{error}; try again in a moment", headers=RETRY_AFTER)
        case PoisonEvent():
            detail = f"{error}; its history shows the events as they are stored"
            return Problem(503, "unavailable", detail, headers=RETRY_AFTER)
        case UnknownProjection():
            return Problem(404, "projection-not-found", f"{error}; GET /v1/admin/projections lists those there are")
        case NotParked():
            return Problem(404, "parked-event-not-found", f"{error}; the list of parked events has those there are")
        case NotPossible():
            return Problem(409, "not-possible", str(error))
        case NotYetConsistent():
            detail = (
                "the view has not yet everything that the token names; ask again, or wait longer with Prefer: wait=10"
            )
            return Problem(503, "not-yet-consistent", detail, headers=RETRY_AFTER)
        case InvalidToken():
            detail = "the token is none of this service, or of a log before it was restored; begin without it"
            return Problem(400, "invalid-token", detail)
        case InvalidCursor():
            return Problem(400, "invalid-cursor", "the cursor is none of this query; begin without one")
        case InvalidQuery():
            return problem_of(invalid(f"a value in the query cannot be found anywhere: {error}; ask without it"))
        case Unauthenticated():
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return Problem(401, "unauthenticated", str(error), headers=challenge)
        case InsufficientScope():
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.needed}"'}
            return Problem(
                403,
                "insufficient-scope",
                f"the token lacks the scope {error.needed}; use one that has it",
                headers=challenge,
            )
        case RateLimited():
            wait = {"Retry-After": str(error.retry_after_s)}
            return Problem(
                429,
                "rate-limited",
                "this subject sends too many requests; nothing was done: try again after Retry-After",
                headers=wait,
            )
        case BadRequest():
            more = {"errors": list(error.errors)} if error.errors else {}
            return Problem(error.status, error.code, error.detail, more, error.headers)
        case ValidationException():
            return _bad_parameters(error)
        case HTTPException():
            return _framework(error)
        case _:
            return Problem(500, "internal", f"something went wrong here: {_TELL}")


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The response to a request that ended with an error."""
    problem, request_id = problem_of(error), request_id_of(request)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", extra={"request_id": request_id, "path": request.url.path}, exc_info=error)
    request.scope["state"]["code"] = problem.code
    return Response(
        msgspec.json.encode(problem.body(request_id)),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(problem.headers),
    )


def _bad_parameters(error: ValidationException) -> Problem:
    found = error.extra if isinstance(error.extra, list) else []
    # A parameter that is called like a keyword of Python has an underscore at its end.
    errors = [{"pointer": f"/{each.get('key', '').rstrip('_')}", "detail": each.get("message", "")} for each in found]
    return Problem(422, "invalid", "a parameter does not fit; /docs shows what it takes", {"errors": errors})


def _framework(error: HTTPException) -> Problem:
    codes = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}
    headers = dict(error.headers or {}) if isinstance(error, MethodNotAllowedException) else {}
    code = codes.get(error.status_code, "internal" if error.status_code >= 500 else "invalid")
    details = {
        404: NO_SUCH_ADDRESS,
        405: "this address takes other methods; the header Allow names them",
        413: "the body is too large; send less at once",
    }
    detail = details.get(error.status_code, HTTPStatus(error.status_code).phrase.lower())
    return Problem(error.status_code, code, detail, headers=headers)
