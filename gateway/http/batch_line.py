"""One command as a line of JSON: in a batch over HTTP, and in a file to import, which is sent in batches."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from actors.domain.actor_id import KEY_PATTERN


class BatchLine(BaseModel):
    """One command of a batch."""

    model_config = ConfigDict(extra="forbid")

    actor: str
    id: str = Field(pattern=KEY_PATTERN)
    command: str
    data: dict[str, JsonValue] = {}
    command_id: UUID | None = None
    expected_version: int | None = Field(default=None, ge=0, strict=True)
