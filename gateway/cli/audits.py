"""The checks of `rayleans verify`, with what they show of their progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.audit.log_audit import LogAudit, audit_log
from actors.domain.domain import load_domain
from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import EventStore, StoreUnavailable, StoreUnsuitable
from actors.store.postgres import PostgresEventStore
from actors.store.postgres_scan import PostgresLogScan, scan_log
from gateway.cli.output import messages
from gateway.remote.connection import ERROR, NOT_FOUND, UNAVAILABLE, CommandLineError
from gateway.settings import Settings
from projections.errors import ViewsUnavailable
from projections.projection import AnyProjection, projections_of
from projections.read_store import ReadStore
from projections.view_audit import ViewAudit, audit_view


async def audit_log_of(settings: Settings, decisions: bool) -> LogAudit:
    """Check the log that the settings name. Raises `CommandLineError` when it cannot be reached."""
    deciders = load_domain(settings.domain).all_deciders
    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with _scan(settings) as scan:
        with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
            bar = progress.add_task("checking", total=3 * scan.length)
            return await audit_log(
                scan, deciders, decisions=decisions, progress=lambda events: progress.advance(bar, events)
            )


@asynccontextmanager
async def _scan(settings: Settings) -> AsyncIterator[PostgresLogScan]:
    """The log that the settings name."""
    url = settings.events_url or EmbeddedPostgres(settings.data).url("events")
    try:
        async with scan_log(url) as scan:
            yield scan
    except StoreUnsuitable as exc:
        raise CommandLineError(str(exc), ERROR) from exc
    except StoreUnavailable as exc:
        hint = "" if settings.events_url else f". Is `rayleans serve` running in {settings.data}?"
        raise CommandLineError(f"{exc}{hint}", UNAVAILABLE) from exc


async def audit_views_of(settings: Settings, name: str | None) -> list[ViewAudit]:
    """Check one view, or all, in the databases that the settings name. Raises `CommandLineError`."""
    projections = [each for each in projections_of(load_domain(settings.domain)) if name in {None, each.name}]
    if not projections:
        raise CommandLineError(f"there is no projection {name!r}", NOT_FOUND)
    columns = (TextColumn("checking"), TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        return [await _audit_view(settings, each, progress) for each in projections]


async def _audit_view(settings: Settings, projection: AnyProjection, progress: Progress) -> ViewAudit:
    server = EmbeddedPostgres(settings.data)
    events_url, views_url = settings.events_url or server.url("events"), settings.views_url or server.url("views")

    async def open_log(partitions: int) -> EventStore:
        log = await PostgresEventStore.open(events_url, partitions=partitions)
        progress.update(bar, total=sum((await log.heads()).values()))
        return log

    bar = progress.add_task(projection.name, total=None)
    hint = "" if settings.views_url else f". Is `rayleans serve` running in {settings.data}?"
    try:
        views = await ReadStore.open(views_url)
        try:
            return await audit_view(
                projection, views.connection, open_log, lambda events: progress.advance(bar, events)
            )
        finally:
            await views.close()
    except StoreUnsuitable as exc:
        raise CommandLineError(str(exc), ERROR) from exc
    except (StoreUnavailable, ViewsUnavailable) as exc:
        raise CommandLineError(f"{exc}{hint}", UNAVAILABLE) from exc
