"""The moment of the past that a query asks for."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter
from pydantic import TypeAdapter, ValidationError

from actors.domain.values import Moment
from gateway.http.problems import BadRequest, invalid
from projections.past import Past

AsOfVersion = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="As it was at this version.")]
AsOf = Annotated[
    str | None,
    QueryParameter(
        description="As it was after the last event recorded at this time or before; RFC 3339.",
        schema_extra={"format": "date-time"},
    ),
]

_moment: TypeAdapter[Moment] = TypeAdapter(Moment)


def past_of(as_of_version: int | None, as_of: str | None) -> Past | None:
    """The moment that one of the two names; None without any.

    Raises:
        BadRequest: both are given, or `as_of` is no time.
    """
    if as_of is None:
        return None if as_of_version is None else Past(version=as_of_version)
    if as_of_version is not None:
        raise _wrong("give as_of or as_of_version, not both")
    try:
        return Past(moment=_moment.validate_python(as_of))
    except ValidationError as exc:
        raise _wrong("as_of must be a time as in RFC 3339, for example 2026-01-31T12:00:00Z") from exc


def _wrong(detail: str) -> BadRequest:
    return invalid(detail, "/as_of")
