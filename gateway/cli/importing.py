"""Commands from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.options import OutputOption, TokenFileOption, UrlOption
from gateway.cli.output import Output, fail, messages, run
from gateway.connection import REJECTED, USAGE, CommandLineError, open_gateway
from gateway.importer import ImportReport, check_file, import_lines, read_lines

commands = typer.Typer()


@commands.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines, one command on each, in the batch format of the API.")],
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests under way at once.")] = 4,
    patience: Annotated[float, typer.Option(min=1, help="Seconds to try again while the service is away.")] = 120.0,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send commands from a file. Sending the same file again changes nothing that was done.

    The file is checked before anything is sent. Lines for one actor are done in their order. Lines that were
    rejected are tried again the next time.

    Example line:

      {"actor": "customer", "id": "alice", "command": "rename", "data": {"name": "Alice Smith"}}

    Example:
      rayleans import purchases.jsonl --concurrency 8
    """
    if file.suffix not in (".jsonl", ".ndjson"):
        fail(CommandLineError(f"{file} is not called .jsonl; send commands as JSON lines", USAGE))
    report = run(_import(file, concurrency, patience, url, token_file))
    refused = [
        {"line": each.number, "status": each.status, "code": each.code, "detail": each.detail}
        for each in report.refused
    ]
    if output is Output.JSON:
        typer.echo(json.dumps({"done": report.done, "replayed": report.replayed, "refused": refused}))
    else:
        typer.echo(f"{report.done} done, {report.replayed} of them before; {len(refused)} refused")
        for each in refused[:20]:
            messages.print(f"line {each['line']}: {each['status']} {each['code']}: {each['detail']}", markup=False)
    raise typer.Exit(REJECTED if refused else 0)


async def _import(
    file: Path, concurrency: int, patience: float, url: str | None, token_file: Path | None
) -> ImportReport:
    total = check_file(file)
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("importing", total=total)
        async with open_gateway(url, token_file) as http:
            return await import_lines(
                http,
                read_lines(file),
                concurrency=concurrency,
                patience_s=patience,
                progress=lambda lines: progress.advance(bar, lines),
            )
