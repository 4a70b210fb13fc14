"""Messages as JSON text and back, by the parts of pydantic that do the work.

Its methods `model_dump_json` and `model_validate_json` look through a dozen options on each call, which takes longer
than a small message itself.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def to_json(message: BaseModel) -> str:
    """A message with all of its fields."""
    return message.__pydantic_serializer__.to_json(message).decode()


def to_short_json(message: BaseModel) -> str:
    """A message without the fields that are at their default."""
    return message.__pydantic_serializer__.to_json(message, exclude_defaults=True).decode()


def from_json(model: type[M], text: str | bytes) -> M:
    """A message of a kind. Raises `pydantic.ValidationError` when the text is none."""
    message: M = model.__pydantic_validator__.validate_json(text)
    return message
