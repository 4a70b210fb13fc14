"""`/metrics`: what all processes of the service count, gathered by whichever gateway is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from actors.store.event_store import StoreUnavailable
from gateway.access.auth import Scope
from gateway.cluster import Cluster, SiloItem
from gateway.metrics import Metrics, merge
from gateway.queries.log_reader import LogReader
from projections.errors import ViewsUnavailable
from projections.projection import AnyProjection
from projections.status import ProjectionStatus
from projections.steering import Steering
from projections.view_reader import ViewReader

FRESH_S = 1.0
# The framework names the charset by itself.
MEDIA_TYPE = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")


class Scrape:
    """What a scrape answers; asked again within `FRESH_S`, it answers the same."""

    def __init__(
        self,
        metrics: Metrics,
        cluster: Cluster,
        reader: ViewReader,
        log: LogReader,
        steering: Steering,
        projections: Sequence[AnyProjection],
    ) -> None:
        self._metrics = metrics
        self._cluster = cluster
        self._reader = reader
        self._log = log
        self._steering = steering
        self._projections = projections
        self._text = ""
        self._at = -FRESH_S
        self._gathering = asyncio.Lock()

    async def text(self) -> str:
        """The exposition of the whole service."""
        async with self._gathering:
            if time.monotonic() - self._at >= FRESH_S:
                self._text = await self._gather()
                self._at = time.monotonic()
        return self._text

    async def _gather(self) -> str:
        silos, others, lags, statuses = await asyncio.gather(
            self._cluster.silos(), self._cluster.other_expositions(), self._lags(), self._statuses()
        )
        own = self._metrics.exposition()
        return merge([own, *others, _of_silos(silos), _of_views(lags), _of_projections(statuses)])

    async def _statuses(self) -> Sequence[ProjectionStatus]:
        """What projections do; nothing while the read database does not answer."""
        try:
            return await self._steering.statuses()
        except ViewsUnavailable:
            return []

    async def _lags(self) -> dict[str, int]:
        """Events that each view has not yet; views and logs that do not answer are left out."""
        lags: dict[str, int] = {}
        try:
            heads = await self._log.heads()
            for projection in self._projections:
                seen = await self._reader.page(projection, after=None, limit=0)
                lags[projection.name] = sum(
                    max(0, mark.position - seen.checkpoint[partition].position)
                    if partition in seen.checkpoint
                    else mark.position
                    for partition, mark in heads.items()
                )
        except (StoreUnavailable, ViewsUnavailable):
            pass
        return lags


def metrics_route(scrape: Scrape) -> HTTPRouteHandler:
    """`/metrics`. It names no actor and no caller, and needs no token."""

    @get(
        "/metrics",
        opt={"scope": Scope.PUBLIC},
        operation_id="metrics",
        summary="counters of the whole service, in the form of Prometheus",
        tags=["operations"],
        media_type="text/plain",
    )
    async def metrics() -> Response[str]:
        return Response(await scrape.text(), media_type=MEDIA_TYPE)

    return metrics


def _of_silos(silos: Sequence[SiloItem]) -> str:
    registry = CollectorRegistry()
    queued = Gauge("rayleans_silo_queued", "Commands without an answer.", ["silo"], registry=registry)
    activations = Gauge("rayleans_silo_activations", "Actors in memory.", ["silo"], registry=registry)
    epochs = Gauge("rayleans_silo_epoch", "Ownership generation.", ["silo", "partition"], registry=registry)
    batches = Gauge(
        "rayleans_silo_batches", "Committed batches of at most that many commands.", ["silo", "size"], registry=registry
    )
    for silo in silos:
        queued.labels(silo.name).set(silo.queued)
        activations.labels(silo.name).set(silo.activations)
        for partition, epoch in silo.epochs.items():
            epochs.labels(silo.name, partition).set(epoch)
        for size, number in sorted(silo.batches.items()):
            batches.labels(silo.name, size).set(number)
    return generate_latest(registry).decode()


def _of_views(lags: dict[str, int]) -> str:
    registry = CollectorRegistry()
    lag = Gauge("rayleans_projection_lag_events", "Events that a view has not yet.", ["projection"], registry=registry)
    for name, events in lags.items():
        lag.labels(name).set(events)
    return generate_latest(registry).decode()


def _of_projections(statuses: Sequence[ProjectionStatus]) -> str:
    registry = CollectorRegistry()
    label = ["projection"]
    failed = Gauge("rayleans_projection_failed", "1 = it stands still, and why is shown.", label, registry=registry)
    age = Gauge("rayleans_projection_lag_seconds", "Age of the oldest event not in it.", label, registry=registry)
    parked = Gauge("rayleans_projection_parked_events", "Events that are set aside.", label, registry=registry)
    for status in statuses:
        failed.labels(status.name).set(status.state == "failed")
        age.labels(status.name).set(status.lag.seconds)
        parked.labels(status.name).set(status.parked)
    return generate_latest(registry).decode()
