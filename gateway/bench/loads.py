"""What the benchmarks do: each field is an option of the command line, but those that it cannot choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import typer

from actors.runtime.placement import Placement


class Switch(StrEnum):
    """Whether something runs."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ActivationLoad:
    """What is woken; each customer has `events` events, each of the long ones `long_events`."""

    customers: Annotated[int, typer.Option(min=4_000, help="Customers that wake together.")] = 100_000
    events: int = field(default=2, init=False)
    long: Annotated[int, typer.Option(min=1, help="Customers with a long history, which wake one at a time.")] = 100
    long_events: int = field(default=1_000, init=False)
    rounds: Annotated[int, typer.Option(min=1, help="How often each of them does.")] = 10


@dataclass(frozen=True, slots=True)
class CommandLoad:
    """What is sent through Python references."""

    customers: Annotated[int, typer.Option(min=1, help="Customers that the commands go to in turn.")] = 10_000
    commands: Annotated[int, typer.Option(min=1, help="After the customers are registered.")] = 200_000
    concurrency: Annotated[int, typer.Option(min=1, help="Commands under way at once.")] = 1_024
    projections: Annotated[Switch, typer.Option(help="Whether the standard views follow.")] = Switch.OFF
    crowd: Annotated[int, typer.Option(min=0, help="Other customers that are in the log before.")] = 0
    crowd_events: Annotated[int, typer.Option(min=1, help="Events of each of them.")] = 10
    placement: Annotated[Placement, typer.Option(help="Where the customers live.")] = Placement.SHARED
    silos: Annotated[int, typer.Option(min=1, help="Processes that hold them.")] = 1


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """What is sent over HTTP; the closed loop is the one at 32 connections."""

    customers: Annotated[int, typer.Option(min=1, help="Customers that the requests go to in turn.")] = 2_000
    seconds: Annotated[float, typer.Option(min=0.1, help="For each figure.")] = 8.0
    open_share: Annotated[float, typer.Option(min=0.05, help="Rate of the open loop, as a share of the closed.")] = 0.7


@dataclass(frozen=True, slots=True)
class ProjectionLoad:
    """What views are built from, and what they follow."""

    customers: Annotated[int, typer.Option(min=5, help="In the log from which a view is built.")] = 50_000
    events_each: Annotated[int, typer.Option(min=1, help="Of each of them.")] = 5
    seconds: Annotated[float, typer.Option(min=0.1, help="For how long commands come, twice.")] = 20.0
    concurrency: Annotated[int, typer.Option(min=1, help="Commands under way at once.")] = 1_024
    rate: Annotated[int, typer.Option(min=1, help="Commands a second in the quiet run.")] = 500


@dataclass(frozen=True, slots=True)
class QueryLoad:
    """What is asked."""

    customers: Annotated[int, typer.Option(min=50, help="Customers that are asked for in turn.")] = 2_000
    seconds: Annotated[float, typer.Option(min=0.1, help="For each figure over HTTP.")] = 5.0
    statements: Annotated[int, typer.Option(min=10, help="For each figure without HTTP.")] = 10_000
