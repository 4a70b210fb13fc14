"""What callers read when something goes wrong: beside what it is, what to do."""

from __future__ import annotations

from uuid import uuid4

import pytest
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from actors.domain.customer import CustomerAlreadyRegistered, CustomerNotRegistered
from actors.domain.decider import Rejection
from actors.domain.order import (
    OrderAlreadyCreated,
    OrderEmpty,
    OrderLineUnknown,
    OrderNotCreated,
    OrderNotOpen,
    OrderNotPlaced,
)
from actors.errors import (
    CommandFailed,
    CommandIdReused,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)
from actors.store.event_store import StoreUnavailable
from actors.store.token import InvalidToken
from gateway.access.auth import InsufficientScope, Scope
from gateway.access.rate import RateLimited
from gateway.http.problems import NotYetConsistent, not_found, problem_of
from projections.errors import InvalidCursor, InvalidQuery, NotParked, UnknownProjection, ViewsUnavailable


@pytest.mark.parametrize(
    ("error", "status", "step"),
    [
        (WrongExpectedVersion("customer-a", 1, 2), 412, "read it again"),
        (CommandIdReused(uuid4()), 422, "give this one a key of its own"),
        (CommandFailed("decide has a bug"), 500, "tell the operator the request id"),
        (Overloaded("full"), 503, "nothing was done: try again"),
        (Unavailable("away"), 503, "nothing was done: try again"),
        (OutcomeUnknown(uuid4(), "no answer"), 504, "send it again with the same Idempotency-Key"),
        (ViewsUnavailable("away"), 503, "try again in a moment"),
        (StoreUnavailable("away"), 503, "try again in a moment"),
        (UnknownProjection("there is none"), 404, "GET /v1/admin/projections"),
        (NotParked("there is none"), 404, "the list of parked events"),
        (NotYetConsistent(), 503, "wait longer with Prefer: wait=10"),
        (InvalidToken(), 400, "begin without it"),
        (InvalidCursor(), 400, "begin without one"),
        (InvalidQuery("a NUL"), 422, "ask without it"),
        (InsufficientScope(Scope.ADMIN), 403, "use one that has it"),
        (RateLimited(3), 429, "try again after Retry-After"),
        (not_found("customer", "a"), 404, "ask with the Consistency-Token"),
        (NotFoundException(), 404, "/docs shows all there are"),
        (MethodNotAllowedException(), 405, "the header Allow names them"),
        (RuntimeError("a bug"), 500, "tell the operator the request id"),
    ],
)
def test_every_problem_says_what_to_do(error: Exception, status: int, step: str) -> None:
    problem = problem_of(error)

    assert problem.status == status
    assert step in problem.detail


@pytest.mark.parametrize(
    ("rejection", "step"),
    [
        (CustomerAlreadyRegistered(), "rename it"),
        (CustomerNotRegistered(), "register it first"),
        (OrderAlreadyCreated(), "create one with another id"),
        (OrderNotCreated(), "create it first"),
        (OrderNotOpen(), "create another one"),
        (OrderLineUnknown(), "look at its lines"),
        (OrderEmpty(), "add one first"),
        (OrderNotPlaced(), "place it first"),
    ],
)
def test_rejection_says_what_would_be_taken(rejection: Rejection, step: str) -> None:
    assert step in problem_of(Rejected(rejection.code, str(rejection))).detail
