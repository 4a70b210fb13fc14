"""Checks of what is stored, on the databases themselves; the service may run meanwhile, or not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.cli.options import DataOption, OutputOption, settings_of
from gateway.cli.output import Output, print_table, run, show_items, show_record
from gateway.remote.connection import CHECK_FAILED

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
    from gateway.cli.audits import audit_log_of

    audit = run(audit_log_of(settings_of(data), decisions))
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
    print_table(table)


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
    from gateway.cli.audits import audit_views_of

    audits = run(audit_views_of(settings_of(data), projection))
    items = [{**asdict(each), "difference": each.difference and each.difference._asdict()} for each in audits]
    show_items(output, items, ("projection", "version", "events", "rows", "left_out", "difference"))
    raise typer.Exit(CHECK_FAILED if any(each.difference for each in audits) else 0)
