"""The values that commands and events are made of, as the public contract describes them.

Text that cannot be stored or shown is refused here: control characters, lone surrogates, anything endless.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    validate_email,
)

from actors.domain.actor_id import KEY_PATTERN
from actors.domain.json_text import is_stored

LARGEST_AMOUNT = 10**15
FIRST_DAY, LAST_DAY = date(1, 1, 2), date(9999, 12, 30)

# C0, DEL and C1; line and paragraph separators; what turns the direction of the text that follows, which lets a name
# look like another. Not `str.isprintable`: it refuses wide spaces, the joiners that words need, and new characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _without_controls(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _address(text: str) -> str:
    _, address = validate_email(text)
    if "<" in text:
        raise ValueError("must be an address alone, without a name")
    return address


def _rfc_3339(moment: object) -> object:
    """Pydantic alone would read "1769902200" as seconds since 1970."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and _RFC_3339.fullmatch(moment)):
        return moment
    raise ValueError("must be a time as in RFC 3339, for example 2026-01-31T12:00:00Z")


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("must be a time between the years 1 and 9999 in UTC") from exc


def _not_endless(moment: datetime, info: ValidationInfo) -> datetime:
    """The driver of the views takes the first and the last day that Python has for infinity."""
    if not FIRST_DAY <= moment.date() <= LAST_DAY and not is_stored(info):
        raise ValueError(f"must be a time from {FIRST_DAY} to {LAST_DAY} in UTC")
    return moment


def _line(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


Key = Annotated[str, Field(pattern=KEY_PATTERN, description="Id of an actor.", examples=["alice"])]
Name = Annotated[
    str,
    _line(200),
    AfterValidator(_without_controls),
    Field(description="What people call it; spaces around it are dropped.", examples=["Alice Smith"]),
]
Reason = Annotated[
    str,
    _line(1000),
    AfterValidator(_without_controls),
    Field(description="Why, in words for people.", examples=["asked to leave"]),
]
Sku = Annotated[
    str,
    _line(64),
    AfterValidator(_without_controls),
    Field(description="What is sold; letters count as they are, large or small.", examples=["CD-1234"]),
]
Email = Annotated[
    str,
    _line(254),
    AfterValidator(_address),
    Field(
        description="Compared without regard to large and small letters.",
        examples=["alice@example.com"],
        json_schema_extra={"format": "email"},
    ),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.", examples=["USD"])]
Amount = Annotated[
    int, Field(ge=0, le=LARGEST_AMOUNT, description="In the minor unit of the currency, cents.", examples=[2999])
]
Quantity = Annotated[int, Field(ge=1, description="How many.", examples=[2])]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc_3339),
    AfterValidator(_utc),
    Field(strict=False, description="RFC 3339, kept in UTC.", examples=["2026-01-31T12:00:00Z"]),
]
Occasion = Annotated[
    Moment,
    AfterValidator(_not_endless),
    Field(description=f"RFC 3339, from {FIRST_DAY} to {LAST_DAY}, kept in UTC."),
]
