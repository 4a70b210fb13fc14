from __future__ import annotations

import pickle
from datetime import UTC, datetime
from uuid import UUID

import pytest

from actors import errors
from actors.store.event_store import LoggedEvent
from projections import errors as projection_errors

ID = UUID(int=7)
EVENT = LoggedEvent(1, 2, "account-ada", 3, "Opened", "{}", 1, datetime(2026, 11, 24, tzinfo=UTC))
ALL = [
    errors.Rejected("code", "message", True),
    errors.WrongExpectedVersion("customer-alice", 1, 2),
    errors.CommandIdReused(ID),
    errors.InvalidCommand("message"),
    errors.CommandFailed("message"),
    errors.Overloaded("message"),
    errors.Unavailable("message"),
    errors.OutcomeUnknown(ID, "message"),
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_error_survives_pickling(error: errors.ActorsError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own

    assert type(again) is type(error)
    assert again.__dict__ == error.__dict__
    assert str(again) == str(error)


def test_every_error_is_tried() -> None:
    of_the_write_side = {each for each in errors.ActorsError.__subclasses__() if each.__module__ == errors.__name__}
    assert {type(error) for error in ALL} == of_the_write_side


def test_errors_of_the_read_side_survive_pickling() -> None:
    for error in (
        projection_errors.PoisonEvent(EVENT, "ada", "reason"),
        projection_errors.LogHasGap(1, 2, 3),
    ):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
