"""Commands from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.domain.domain import DomainError, load_domain
from gateway.cli.asking import Asking
from gateway.cli.output import fail, messages, run, suggest
from gateway.cli.unfold import unfold
from gateway.remote.connection import REJECTED, USAGE, CommandLineError
from gateway.remote.csv_rows import Rows, csv_commands, row_mapping
from gateway.remote.importer import ImportReport, check_file, import_lines, json_lines, read_lines
from gateway.remote.named_columns import NamedColumns
from gateway.remote.next_step import next_step
from gateway.settings import SettingsError, read_settings

SHOWN_REFUSALS = 20

commands = typer.Typer()


@commands.command(name="import")
@unfold
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines in the batch format of the API, or CSV with a header.")],
    actor: Annotated[str | None, typer.Option(help="CSV: the kind of actor.")] = None,
    command: Annotated[str | None, typer.Option(help="CSV: the command that each row is.")] = None,
    map_: Annotated[list[str] | None, typer.Option("--map", help="CSV: FIELD=COLUMN, or FIELD=COLUMN:KIND.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="CSV: FIELD=VALUE for every row.")] = None,
    then: Annotated[list[str] | None, typer.Option(help="CSV: a command without fields that follows.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests under way at once.")] = 4,
    patience: Annotated[float, typer.Option(min=1, help="Seconds to try again while the service is away.")] = 120.0,
    *,
    service: Asking,
) -> None:
    r"""Send commands from a file. Sending the same file again changes nothing that was done.

    The file is checked before anything is sent. Lines for one actor are done in their order. Lines that were
    rejected are tried again the next time. After an interruption, send the same file again.

    A CSV file has the columns actor, id and command, perhaps command_id and expected_version, and each other column
    is a field of the command by its name; `lines.0.sku` is a field of the first of a list. Empty cells are left
    out. A column is read as its field wants it in the domain that RAYLEANS_DOMAIN names; `price:cents` as the name
    of a column says otherwise. Kinds are text, int, cents (12.99 is 1299) and time.

    For a CSV file with other columns, --actor and --command say what each row is, and --map says which column is
    which field, of which kind; the field `id` is the actor's.

    Example line:
      {"actor": "customer", "id": "alice", "command": "rename", "data": {"name": "Alice Smith"}}

    Example table:
      actor,id,command,name,email,credit_limit
      customer,alice,register,Alice,alice@example.com,50000
      customer,alice,rename,Alice Smith,,

    Examples:
      rayleans import purchases.jsonl --concurrency 8

      rayleans import commands.csv

      rayleans import people.csv --actor customer --command register \
          --map id=number --map name=name --map email=mail --map credit_limit=limit:cents

      rayleans import purchases.csv --actor order --command create --then place --then ship \
          --map id=order --map customer_id=customer --map ordered_at=day:time --set currency=USD \
          --set lines.0.sku=cd --map lines.0.quantity=count:int --map lines.0.unit_price=price:cents
    """
    try:
        rows = _rows(file, actor, command, map_ or [], set_ or [], then or [])
    except (CommandLineError, DomainError, SettingsError) as exc:
        fail(exc)
    report = run(_import(service, file, rows, concurrency, patience))
    if service.for_people:
        _tell(report)
    else:
        typer.echo(json.dumps(asdict(report)))
    raise typer.Exit(REJECTED if report.refused else 0)


def _tell(report: ImportReport) -> None:
    typer.echo(f"{report.done} done, {report.replayed} of them before; {len(report.refused)} refused")
    shown = report.refused[:SHOWN_REFUSALS]
    for each in shown:
        said = f"line {each.line}: {each.status} {each.code}: {each.detail} (request {each.request_id})"
        messages.print(said, markup=False)
    suggest(*dict.fromkeys(next_step(each.status, each.code) for each in shown))


def _rows(
    file: Path, actor: str | None, command: str | None, maps: list[str], constants: list[str], then: list[str]
) -> Callable[[], Rows]:
    """Reads the file from its beginning, each time it is called."""
    said = {"--actor": actor, "--command": command, "--map": maps, "--set": constants, "--then": then}
    given = [option for option, value in said.items() if value]
    if file.suffix in (".jsonl", ".ndjson"):
        if given:
            message = f"{', '.join(given)}: for CSV only; each line of {file} says what it is by itself"
            raise CommandLineError(message, USAGE, "the same without, or a file that is called .csv")
        return partial(json_lines, file)
    if file.suffix != ".csv":
        raise CommandLineError(f"{file} is called neither .jsonl nor .csv; send JSON lines or a table", USAGE)
    if not given:
        return partial(csv_commands, file, NamedColumns(load_domain(read_settings().domain)))
    if actor is None or command is None:
        raise CommandLineError("say what the rows are: --actor customer --command register --map id=COLUMN …", USAGE)
    return partial(csv_commands, file, row_mapping(actor, command, maps, constants, then))


async def _import(
    service: Asking, file: Path, rows: Callable[[], Rows], concurrency: int, patience: float
) -> ImportReport:
    total = check_file(file, rows())
    columns = (
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} {task.fields[refused]} refused"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("importing", total=total, rate="", refused=0)

        def advance(lines: int, refused: int) -> None:
            speed = progress.tasks[bar].speed
            rate = f"{speed:,.0f}/s," if speed else ""
            progress.update(bar, advance=lines, rate=rate, refused=refused)

        async with service.open() as http:
            return await import_lines(
                http, read_lines(rows()), concurrency=concurrency, patience_s=patience, progress=advance
            )
