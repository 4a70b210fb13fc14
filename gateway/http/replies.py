"""What answers look like, for the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from litestar.openapi import ResponseSpec
from pydantic import BaseModel

from gateway.http.problems import MEDIA_TYPE


class EventReply(BaseModel):
    """An event that a command appended."""

    type: str
    version: int
    data: dict[str, Any]


class CommandReply(BaseModel):
    """What a command led to: it is durable."""

    id: str
    version: int
    events: list[EventReply]
    command_id: UUID
    replayed: bool
    token: str


class FieldError(BaseModel):
    """One field that is wrong; `pointer` is a JSON pointer into the body."""

    pointer: str
    detail: str


class ProblemReply(BaseModel):
    """Why a request was not served (RFC 9457): `errors` if it does not fit, `actual_version` if it expected another."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] | None = None
    actual_version: int | None = None


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Documentation of the problems that a route can answer with, beside those that every route can.

    400 is given again for each, because the framework would describe it in its own way.
    """
    return {
        status: ResponseSpec(
            data_container=ProblemReply,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in (400, *statuses)
    }
