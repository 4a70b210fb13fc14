"""The command line. Data on stdout, messages on stderr, exit codes as the contract has them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import Coroutine
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actors.domain.domain import DomainError
from actors.store.data_dir import DataDirError
from actors.store.embedded import EmbeddedError
from gateway.auth import TOKEN_SCOPES
from gateway.connection import (
    ERROR,
    REJECTED,
    UNAVAILABLE,
    USAGE,
    CommandLineError,
    open_gateway,
    unreachable,
)
from gateway.importer import check_file, import_lines, read_lines
from gateway.local_key import LocalKey, LocalKeyError
from gateway.settings import Settings, SettingsError, check

app = typer.Typer(
    name="rayleans",
    help="CQRS and event sourcing on Ray and PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
messages = Console(stderr=True, highlight=False, soft_wrap=True)


class Output(StrEnum):
    """How data is written to stdout."""

    TABLE = "table"
    JSON = "json"


DataOption = Annotated[Path | None, typer.Option(help="Directory of everything that is this service's own.")]
UrlOption = Annotated[str | None, typer.Option(envvar="RAYLEANS_URL", help="Of the service.")]
TokenFileOption = Annotated[Path | None, typer.Option(envvar="RAYLEANS_TOKEN_FILE", help="File with a token.")]
OutputOption = Annotated[Output, typer.Option(help="A table for people or JSON for programs.")]


def main() -> None:
    """Run the command line."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8700,
    data: DataOption = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; without it, one is started.")] = None,
    silos: Annotated[int, typer.Option(min=1, help="Ray actors that hold customers and orders.")] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="Slices of the log, fixed when it is made.")] = 16,
    gateways: Annotated[int, typer.Option(min=1, max=64, help="HTTP servers, sharing the port.")] = 1,
) -> None:
    """Run the service: starts PostgreSQL, Ray and the actors, whatever is missing.

    Prints `ready URL` on stdout when commands and queries work; ends on SIGINT or SIGTERM.

    Examples:
      rayleans serve

      rayleans serve --port 9000 --data /var/lib/rayleans

      RAYLEANS_EVENTS_URL=postgresql://… RAYLEANS_VIEWS_URL=postgresql://… rayleans serve --address auto
    """
    from gateway.serve import Plan
    from gateway.serve import serve as run

    plan = Plan(host, port, address, silos, partitions, gateways)
    _run(run(_settings(data), plan, messages.print, lambda url: typer.echo(f"ready {url}")))


@app.command()
def demo() -> None:
    """Show the whole system at work, in a temporary directory, in under a minute.

    Example:
      rayleans demo
    """
    from gateway.demo import show

    _run(show(Console(highlight=False, soft_wrap=True), messages.print))


@app.command()
def token(
    subject: Annotated[str, typer.Option(help="Who it is for; stands as the author in the log.")],
    scope: Annotated[list[str], typer.Option(help="commands:write, queries:read or admin; may be repeated.")],
    expires: Annotated[str, typer.Option(help="For how long: 30m, 12h, 7d.")] = "1h",
    data: DataOption = None,
) -> None:
    """Make a token with the local signing key of a data directory.

    Example:
      rayleans token --scope queries:read --subject bob --expires 1h
    """
    scopes = [each for part in scope for each in part.split()]
    unknown = sorted(set(scopes) - set(TOKEN_SCOPES))
    if unknown:
        _fail(CommandLineError(f"no such scope: {', '.join(unknown)}; there are {', '.join(TOKEN_SCOPES)}", USAGE))
    try:
        typer.echo(LocalKey.load(_settings(data).data).mint(subject, scopes, _lifetime(expires)))
    except (LocalKeyError, CommandLineError) as exc:
        _fail(exc)


@app.command()
def status(url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE) -> None:
    """Tell whether a service works, and if not, why. Exit code 6 when it does not.

    Example:
      rayleans status --output json
    """
    found = _run(_status(url, token_file))
    if output is Output.JSON:
        typer.echo(json.dumps(found))
    else:
        table = Table("what", "is", show_header=False)
        for name, value in found.items():
            table.add_row(name, "\n".join(map(str, value)) if isinstance(value, list) else str(value))
        Console(highlight=False).print(table)
    raise typer.Exit(0 if found["ready"] else UNAVAILABLE)


@app.command(name="import")
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
        _fail(CommandLineError(f"{file} is not called .jsonl; send commands as JSON lines", USAGE))
    report = _run(_import(file, concurrency, patience, url, token_file))
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


async def _status(url: str | None, token_file: Path | None) -> dict[str, Any]:
    async with open_gateway(url, token_file) as http:
        try:
            health, ready = await http.get("/healthz"), await http.get("/readyz")
        except httpx.TransportError as exc:
            raise unreachable(http, exc) from exc
        up, readiness = health.json(), ready.json()
        return {
            "url": str(http.base_url),
            "version": up["version"],
            "started_at": up["started_at"],
            "ready": readiness["ready"],
            "reasons": readiness["reasons"],
        }


async def _import(file: Path, concurrency: int, patience: float, url: str | None, token_file: Path | None) -> Any:
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


def _settings(data: Path | None) -> Settings:
    settings = Settings() if data is None else Settings(data=data)
    try:
        check(settings)
    except SettingsError as exc:
        _fail(exc)
    return settings


def _lifetime(text: str) -> timedelta:
    matched = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if matched is None:
        raise CommandLineError(f"{text!r} is no time; write 30m, 12h or 7d", USAGE)
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[matched[2]]
    return timedelta(**{unit: int(matched[1])})


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    from actors.errors import Unavailable
    from gateway.ray_actors import ServiceRunning

    try:
        return asyncio.run(work)
    except (
        *(CommandLineError, DataDirError, DomainError, EmbeddedError, LocalKeyError, ServiceRunning, SettingsError),
        Unavailable,
    ) as exc:
        _fail(exc)


def _fail(error: Exception) -> NoReturn:
    messages.print(
        f"rayleans: {error}" if not isinstance(error, CommandLineError) else f"rayleans: {error.message}", markup=False
    )
    if isinstance(error, CommandLineError):
        raise typer.Exit(error.exit_code)
    raise typer.Exit(USAGE if isinstance(error, SettingsError) else ERROR)
