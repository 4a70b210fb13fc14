"""The command line: each group of commands is a module of this package, and all of them are composed here.

Data on stdout, messages on stderr, exit codes as the contract has them (`gateway/remote/connection.py`).
"""

from __future__ import annotations

import errno
import inspect
import logging
import sys

import typer

from gateway.cli import (
    actors,
    bench,
    doctor,
    events,
    importing,
    projections,
    service,
    silos,
    status,
    token,
    verify,
)
from gateway.cli.output import give_stdout_up, messages, suggest
from gateway.remote.connection import ERROR

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    name="rayleans",
    help="CQRS and event sourcing on Ray and PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(service.commands)
app.add_typer(status.commands)
app.add_typer(token.commands)
app.add_typer(silos.commands)
app.add_typer(importing.commands)
app.add_typer(doctor.commands)
app.add_typer(actors.commands_for("customers"), name="customer")
app.add_typer(actors.commands_for("orders"), name="order")
app.add_typer(events.commands, name="events")
app.add_typer(projections.commands, name="projections")
app.add_typer(verify.commands, name="verify")
app.add_typer(bench.commands, name="bench")


def _keep_lines(group: typer.Typer) -> None:
    """Let help texts have their examples as they are written: click fills lines up, unless it is told not to."""
    for command in group.registered_commands:
        written = command.help or inspect.getdoc(command.callback) or ""
        paragraphs = written.split("\n\n")
        command.help = "\n\n".join(f"\b\n{each}" if "  " in each else each for each in paragraphs)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _keep_lines(inner.typer_instance)


_keep_lines(app)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except OSError as exc:
        if exc.errno not in NO_ROOM:
            raise
        give_stdout_up()
        messages.print(f"rayleans: cannot write: {exc.strerror}", markup=False)
        suggest("the same again with stdout where there is room")
        sys.exit(ERROR)
