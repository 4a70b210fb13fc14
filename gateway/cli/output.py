"""What commands print: data as a table or as JSON on stdout, messages on stderr, and how they end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Coroutine, Mapping, Sequence
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.table import Column, Table

from gateway.remote.connection import ERROR, USAGE, CommandLineError
from gateway.settings import SettingsError

WIDTH = 160

messages = Console(stderr=True, highlight=False, soft_wrap=True)

T = TypeVar("T")


class Output(StrEnum):
    """How data is written to stdout."""

    TABLE = "table"
    JSON = "json"


def show_record(output: Output, record: Mapping[str, Any]) -> None:
    """Print one thing: its fields below each other, or a JSON object."""
    if output is Output.JSON:
        typer.echo(json.dumps(record))
        return
    print_table(record_table(record))


def record_table(record: Mapping[str, Any]) -> Table:
    """The fields of one thing below each other."""
    table = Table("what", Column("is", overflow="fold"), show_header=False)
    for name, value in record.items():
        table.add_row(name, "\n".join(map(str, value)) if isinstance(value, list) else text_of(value))
    return table


def show_items(output: Output, items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print many things: a row for each with some of their fields, or a JSON object with all `items`."""
    if output is Output.JSON:
        typer.echo(json.dumps({"items": items}))
        return
    table = Table(*(Column(each, overflow="fold") for each in columns))
    for item in items:
        table.add_row(*(text_of(item.get(column)) for column in columns))
    print_table(table)


def print_table(table: Table) -> None:
    """Print a table on stdout, data as they are; where no terminal says how wide it is, it is wide."""
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH).print(table)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do the work of a command; ends the program with a message when it cannot be done."""
    try:
        return uvloop.run(work)
    except (CommandLineError, SettingsError) as exc:
        fail(exc)
    except Exception as exc:
        if isinstance(exc, _around_the_service()):
            fail(exc)
        raise


def _around_the_service() -> tuple[type[Exception], ...]:
    """What else may be wrong. Imported when something is: these modules bring Ray and more with them."""
    from actors.domain.domain import DomainError
    from actors.errors import Unavailable
    from actors.store.data_dir import DataDirError
    from actors.store.embedded import EmbeddedError
    from gateway.access.local_key import LocalKeyError
    from gateway.ray_actors import ServiceRunning

    return (DataDirError, DomainError, EmbeddedError, LocalKeyError, ServiceRunning, Unavailable)


def fail(error: Exception) -> NoReturn:
    """End the program with a message on stderr, what to try next, and the exit code of the error."""
    messages.print(f"rayleans: {error}", markup=False)
    if isinstance(error, CommandLineError):
        suggest(error.next_step)
        raise typer.Exit(error.exit_code)
    raise typer.Exit(USAGE if isinstance(error, SettingsError) else ERROR)


def suggest(*next_steps: str) -> None:
    """Say on stderr what to try next."""
    for each in filter(None, next_steps):
        messages.print(f"try: {each}", markup=False)


def give_stdout_up() -> None:
    """Drop what could not be written: else Python tries again when it ends, and complains in its own words."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def text_of(value: Any) -> str:
    """A value of JSON for people: text as it is, nothing for null, all else as JSON has it."""
    if isinstance(value, dict | list | bool):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
