"""Who is at work: silos and gateways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import get
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel

from gateway.access.auth import Scope
from gateway.cluster import Cluster, GatewayItem, SiloItem


class Silos(BaseModel):
    """The silos that answer."""

    items: list[SiloItem]


class Gateways(BaseModel):
    """The gateways that answer."""

    items: list[GatewayItem]


def cluster_routes(cluster: Cluster) -> Sequence[HTTPRouteHandler]:
    """`/v1/admin/silos` and `/v1/admin/gateways`."""
    admin: dict[str, Any] = {"opt": {"scope": Scope.ADMIN}, "tags": ["operations"]}

    @get("/v1/admin/silos", operation_id="silos", summary="silos and what they hold", **admin)
    async def silos() -> Silos:
        return Silos(items=list(await cluster.silos()))

    @get("/v1/admin/gateways", operation_id="gateways", summary="gateways and where they listen", **admin)
    async def gateways() -> Gateways:
        return Gateways(items=list(await cluster.gateways()))

    return [silos, gateways]
