from __future__ import annotations

import pickle
from uuid import UUID

import pytest

from actors import errors
from projections import errors as projection_errors

ID = UUID(int=7)
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
    assert {type(error) for error in ALL} == set(errors.ActorsError.__subclasses__())


def test_errors_of_the_read_side_survive_pickling() -> None:
    for error in (
        projection_errors.PoisonEvent("s", 1, "T", "reason"),
        projection_errors.LogHasGap(1, 2, 3),
    ):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
