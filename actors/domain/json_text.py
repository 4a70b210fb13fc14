"""Messages as JSON text and back, by the parts of pydantic that do the work.

Its methods `model_dump_json` and `model_validate_json` look through a dozen options on each call, which takes longer
than a small message itself.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationInfo

M = TypeVar("M", bound=BaseModel)

_STORED = {"stored": True}


def to_json(message: BaseModel) -> str:
    """A message with all of its fields."""
    return message.__pydantic_serializer__.to_json(message).decode()


def to_short_json(message: BaseModel) -> str:
    """A message without the fields that are at their default."""
    return message.__pydantic_serializer__.to_json(message, exclude_defaults=True).decode()


def from_json(model: type[M], text: str | bytes, *, stored: bool = False) -> M:
    """A message of a kind.

    Args:
        stored: it stands in the log, where it was taken by the rules of its release; see `is_stored`.

    Raises:
        pydantic.ValidationError: the text is none.
    """
    message: M = model.__pydantic_validator__.validate_json(text, context=_STORED if stored else None)
    return message


def is_stored(info: ValidationInfo) -> bool:
    """For validators that refuse what earlier releases took: whether the message was taken already."""
    return info.context is _STORED
