"""The values that commands and events are made of, as the public contract describes them.

Text that cannot be stored or shown is refused here: control characters, lone surrogates, anything endless.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, EmailStr, Field, StringConstraints

from actors.domain.actor_id import KEY_PATTERN

LARGEST_AMOUNT = 10**15
LARGEST_QUANTITY = 1_000_000
LONGEST_EMAIL = 254


def _printable(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("must not contain control characters")
    return text


def _short_email(email: str) -> str:
    if len(email) > LONGEST_EMAIL:
        raise ValueError(f"must have at most {LONGEST_EMAIL} characters")
    return email


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("must be a time between the years 1 and 9999 in UTC") from exc


def _line(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


Key = Annotated[str, Field(pattern=KEY_PATTERN, description="Id of an actor.", examples=["alice"])]
Name = Annotated[str, _line(200), AfterValidator(_printable), Field(examples=["Alice Smith"])]
Reason = Annotated[str, _line(1000), AfterValidator(_printable), Field(examples=["asked to leave"])]
Sku = Annotated[str, _line(64), AfterValidator(_printable), Field(examples=["CD-1234"])]
Email = Annotated[EmailStr, AfterValidator(_short_email), Field(examples=["alice@example.com"])]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.", examples=["USD"])]
Amount = Annotated[
    int, Field(ge=0, le=LARGEST_AMOUNT, description="In the minor unit of the currency, cents.", examples=[2999])
]
Quantity = Annotated[int, Field(ge=1, le=LARGEST_QUANTITY, examples=[2])]
Moment = Annotated[
    AwareDatetime, AfterValidator(_utc), Field(description="RFC 3339, kept in UTC.", examples=["2026-01-31T12:00:00Z"])
]
