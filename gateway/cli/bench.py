"""Benchmarks: each starts a service of its own, and measures what the database alone can do in the same run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from gateway.bench.loads import ActivationLoad, CommandLoad, HttpLoad, ProjectionLoad, QueryLoad
from gateway.bench.report import Report
from gateway.cli.output import messages, print_table, run
from gateway.cli.unfold import unfold

commands = typer.Typer(
    help="Measure this machine: what the service does, beside what its database alone does.",
    no_args_is_help=True,
)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


@commands.command()
@unfold
def activations(load: ActivationLoad, as_json: JsonOption = False) -> None:
    """How long an actor takes to wake up, how many can in a second, and what an idle one costs.

    Example:
      rayleans bench activations --json
    """
    from gateway.bench.activations import bench_activations

    _show(bench_activations(load, messages.print), as_json)


@commands.command(name="commands")
@unfold
def commands_(load: CommandLoad, as_json: JsonOption = False) -> None:
    """Durable commands a second through Python references, and how long one takes.

    Examples:
      rayleans bench commands

      rayleans bench commands --customers 1000 --concurrency 64 --json

      rayleans bench commands --crowd 1000000

      rayleans bench commands --customers 8 --commands 20000 --concurrency 256 --placement own
    """
    from gateway.bench.commands import bench_commands

    _show(bench_commands(load, messages.print), as_json)


@commands.command()
@unfold
def http(load: HttpLoad, as_json: JsonOption = False) -> None:
    """Single commands and queries over HTTP, with all checks on, beside the HTTP server alone.

    Example:
      rayleans bench http --seconds 20 --json
    """
    from gateway.bench.http import bench_http

    _show(bench_http(load, messages.print), as_json)


@commands.command()
@unfold
def projections(load: ProjectionLoad, as_json: JsonOption = False) -> None:
    """How fast a view is built from the log, and how soon views show what was acknowledged.

    Examples:
      rayleans bench projections

      rayleans bench projections --customers 200000 --seconds 60 --json
    """
    from gateway.bench.projections import bench_projections

    _show(bench_projections(load, messages.print), as_json)


@commands.command()
@unfold
def queries(load: QueryLoad, as_json: JsonOption = False) -> None:
    """Queries over HTTP: one row, pages, searches, the past; beside the same SQL without HTTP.

    Example:
      rayleans bench queries --json
    """
    from gateway.bench.queries import bench_queries

    _show(bench_queries(load, messages.print), as_json)


def _show(work: Coroutine[Any, Any, Report], as_json: bool) -> None:
    report = run(work)
    if as_json:
        typer.echo(report.as_json())
    else:
        print_table(report.as_table())
