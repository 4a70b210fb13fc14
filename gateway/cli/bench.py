"""Benchmarks: each starts a service of its own, and measures what the database alone can do in the same run."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from actors.runtime.placement import Placement
from gateway.bench.report import Report
from gateway.cli.output import messages, run

commands = typer.Typer(
    help="Measure this machine: what the service does, beside what its database alone does.",
    no_args_is_help=True,
)

WIDTH = 120

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


class Switch(StrEnum):
    """Whether something runs."""

    ON = "on"
    OFF = "off"


@commands.command()
def activations(
    customers: Annotated[int, typer.Option(min=4_000, help="Customers that wake together.")] = 100_000,
    long: Annotated[int, typer.Option(min=1, help="Customers with a long history, which wake one at a time.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="How often each of them does.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """How long an actor takes to wake up, how many can in a second, and what an idle one costs.

    Example:
      rayleans bench activations --json
    """
    from gateway.bench.activations import ActivationLoad, bench_activations

    _show(bench_activations(ActivationLoad(customers=customers, long=long, rounds=rounds), messages.print), as_json)


@commands.command(name="commands")
def commands_(
    customers: Annotated[int, typer.Option(min=1, help="Customers that the commands go to in turn.")] = 10_000,
    count: Annotated[int, typer.Option("--commands", min=1, help="After the customers are registered.")] = 200_000,
    concurrency: Annotated[int, typer.Option(min=1, help="Commands under way at once.")] = 1_024,
    projections: Annotated[Switch, typer.Option(help="Whether the standard views follow.")] = Switch.OFF,
    crowd: Annotated[int, typer.Option(min=0, help="Other customers that are in the log before.")] = 0,
    crowd_events: Annotated[int, typer.Option(min=1, help="Events of each of them.")] = 10,
    placement: Annotated[Placement, typer.Option(help="Where the customers live.")] = Placement.SHARED,
    silos: Annotated[int, typer.Option(min=1, help="Processes that hold them.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Durable commands a second through Python references, and how long one takes.

    Examples:
      rayleans bench commands

      rayleans bench commands --customers 1000 --concurrency 64 --json

      rayleans bench commands --crowd 1000000

      rayleans bench commands --customers 8 --commands 20000 --concurrency 256 --placement own
    """
    from gateway.bench.commands import CommandLoad, bench_commands

    load = CommandLoad(customers, count, concurrency, projections is Switch.ON, crowd, crowd_events, placement, silos)
    _show(bench_commands(load, messages.print), as_json)


@commands.command()
def http(
    customers: Annotated[int, typer.Option(min=1, help="Customers that the requests go to in turn.")] = 2_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="For each figure.")] = 8.0,
    open_share: Annotated[float, typer.Option(min=0.05, help="Rate of the open loop, as a share of the closed.")] = 0.7,
    as_json: JsonOption = False,
) -> None:
    """Single commands and queries over HTTP, with all checks on, beside the HTTP server alone.

    Example:
      rayleans bench http --seconds 20 --json
    """
    from gateway.bench.http import HttpLoad, bench_http

    _show(bench_http(HttpLoad(customers, seconds, open_share), messages.print), as_json)


@commands.command()
def projections(
    customers: Annotated[int, typer.Option(min=5, help="In the log from which a view is built.")] = 50_000,
    events_each: Annotated[int, typer.Option(min=1, help="Of each of them.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="For how long commands come, twice.")] = 20.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Commands under way at once.")] = 1_024,
    rate: Annotated[int, typer.Option(min=1, help="Commands a second in the quiet run.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """How fast a view is built from the log, and how soon views show what was acknowledged.

    Examples:
      rayleans bench projections

      rayleans bench projections --customers 200000 --seconds 60 --json
    """
    from gateway.bench.projections import ProjectionLoad, bench_projections

    _show(
        bench_projections(ProjectionLoad(customers, events_each, seconds, concurrency, rate), messages.print), as_json
    )


@commands.command()
def queries(
    customers: Annotated[int, typer.Option(min=50, help="Customers that are asked for in turn.")] = 2_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="For each figure over HTTP.")] = 5.0,
    statements: Annotated[int, typer.Option(min=10, help="For each figure without HTTP.")] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Queries over HTTP: one row, pages, searches, the past; beside the same SQL without HTTP.

    Example:
      rayleans bench queries --json
    """
    from gateway.bench.queries import QueryLoad, bench_queries

    _show(bench_queries(QueryLoad(customers, seconds, statements), messages.print), as_json)


def _show(work: Coroutine[Any, Any, Report], as_json: bool) -> None:
    report = run(work)
    if as_json:
        typer.echo(report.as_json())
    else:
        Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(report.as_table())
