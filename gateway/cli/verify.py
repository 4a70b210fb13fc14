"""Checks of what is stored, on the databases themselves; the service may run meanwhile, or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actors.audit.log_audit import LogAudit, audit_log
from actors.domain.domain import load_domain
from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import EventStore, StoreUnavailable, StoreUnsuitable
from actors.store.postgres import PostgresEventStore
from actors.store.postgres_scan import PostgresLogScan, scan_log
from gateway.cli.options import DataOption, OutputOption, settings_of
from gateway.cli.output import Output, messages, run, show_items, show_record
from gateway.connection import CHECK_FAILED, ERROR, NOT_FOUND, UNAVAILABLE, CommandLineError
from gateway.settings import Settings
from projections.errors import ViewsUnavailable
from projections.projection import AnyProjection, projections_of
from projections.read_store import ReadStore
from projections.view_audit import ViewAudit, audit_view

commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def verify() -> None:
    """Check that what is stored is as promised. Exit code 7 when it is not."""


@commands.command()
def log(
    decisions: Annotated[bool, typer.Option(help="Take every decision again, by the rules of this release.")] = True,
    data: DataOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check the whole log as it is now: nothing missing, nothing twice, one writer at a time, every decision legal.

    Reads the database named by RAYLEANS_EVENTS_URL, or the one of a service that runs in the data directory. After
    a rule was changed, decisions of earlier releases may differ from it: check those logs with --no-decisions.

    Example:
      rayleans verify log --output json
    """
    audit = run(_audit(settings_of(data), decisions))
    findings = [{**each._asdict(), "command_id": str(each.command_id)} for each in audit.findings]
    counts = {name: getattr(audit, name) for name in ("partitions", "events", "streams", "commands")}
    if output is Output.JSON:
        show_record(output, {**counts, "findings": findings})
    else:
        show_record(output, {**counts, "findings": len(findings)})
        _show(findings)
    raise typer.Exit(CHECK_FAILED if findings else 0)


def _show(findings: list[dict[str, Any]]) -> None:
    if not findings:
        return
    columns = ("promise", "partition", "position", "stream", "version", "what")
    table = Table(*columns)
    for finding in findings:
        table.add_row(*(str(finding[column]) for column in columns))
    Console(highlight=False, markup=False).print(table)


async def _audit(settings: Settings, decisions: bool) -> LogAudit:
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


@commands.command()
def views(
    projection: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    data: DataOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check that every view is what a replay of the log up to its checkpoint gives, row by row.

    Reads the databases named by RAYLEANS_EVENTS_URL and RAYLEANS_VIEWS_URL, or those of a service that runs in the
    data directory. Of each view that differs, the first difference is told.

    Examples:
      rayleans verify views

      rayleans verify views --projection customers --output json
    """
    audits = run(_audit_views(settings_of(data), projection))
    items = [{**asdict(each), "difference": each.difference and each.difference._asdict()} for each in audits]
    show_items(output, items, ("projection", "version", "events", "rows", "left_out", "difference"))
    raise typer.Exit(CHECK_FAILED if any(each.difference for each in audits) else 0)


async def _audit_views(settings: Settings, name: str | None) -> list[ViewAudit]:
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
