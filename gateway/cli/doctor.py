"""What is wrong around the service, and what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from gateway.cli.options import DataOption, OutputOption, UrlOption, settings_of
from gateway.cli.output import Output, run, show_items
from gateway.remote.connection import CHECK_FAILED, service_url

commands = typer.Typer()


@commands.command()
def doctor(url: UrlOption = None, data: DataOption = None, output: OutputOption = Output.TABLE) -> None:
    """Check versions, settings, disk, clocks, permissions and databases, and say what to do. Changes nothing.

    Exit code 7 when a check failed; warnings alone are 0.

    Examples:
      rayleans doctor

      RAYLEANS_EVENTS_URL=postgresql://… RAYLEANS_VIEWS_URL=postgresql://… rayleans doctor --output json
    """
    from gateway.doctor import examine

    checks = run(examine(settings_of(data), service_url(url)))
    show_items(output, [asdict(each) for each in checks], ("what", "verdict", "found", "advice"))
    raise typer.Exit(CHECK_FAILED if any(each.verdict == "failed" for each in checks) else 0)
