"""How operators see whether the service works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel

from actors.runtime.client import CommandSender
from gateway.access.auth import Scope
from projections.view_reader import ViewReader

PROBE_TIMEOUT_S = 3.0


class Readiness(BaseModel):
    """Whether commands and queries work; if not, why."""

    ready: bool
    reasons: list[str]


class Health(BaseModel):
    """The process is up."""

    status: str
    version: str
    started_at: datetime


def health_routes(sender: CommandSender, reader: ViewReader) -> Sequence[HTTPRouteHandler]:
    """`/healthz` and `/readyz`."""
    health = Health(status="up", version=version("rayleans"), started_at=datetime.now(UTC))

    @get("/healthz", opt={"scope": Scope.PUBLIC}, operation_id="healthz", summary="the process is up")
    async def healthz() -> Health:
        return health

    @get(
        "/readyz",
        opt={"scope": Scope.PUBLIC},
        operation_id="readyz",
        summary="commands and queries work; 503 with the reasons when not",
    )
    async def readyz() -> Response[Readiness]:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                found = await asyncio.gather(sender.not_ready(), reader.not_ready())
            reasons = [reason for part in found for reason in part]
        except TimeoutError:
            reasons = ["the parts of the service did not answer in time"]
        return Response(Readiness(ready=not reasons, reasons=reasons), status_code=503 if reasons else 200)

    return [healthz, readyz]
