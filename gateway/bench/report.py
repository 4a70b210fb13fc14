"""What a benchmark found, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long something took, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    slowest_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latencies:
        """From single durations, at least one."""
        cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
        return cls(*(round(each * 1000, 3) for each in (cuts[49], cuts[89], cuts[98], max(seconds))))


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    Attributes:
        name: what, in words.
        per_s: how many in a second.
        latencies: of the single ones; None where it says nothing.
        of_raw: share of what the database alone can do, measured in the same run; None where there is no such limit.
        target: what DESIGN.md asks for, as text with the target's id.
        more: other numbers.
    """

    name: str
    per_s: float | None = None
    latencies: Latencies | None = None
    of_raw: float | None = None
    target: str = ""
    more: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Its members that say something."""
        timed = {} if self.latencies is None else {name: getattr(self.latencies, name) for name in Latencies.__slots__}
        plain = {
            "name": self.name,
            "per_s": self.per_s and round(self.per_s, 1),
            "of_raw": self.of_raw and round(self.of_raw, 4),
        }
        plain |= {"target": self.target or None, **timed, **self.more}
        return {name: value for name, value in plain.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run, those of the raw limits among them."""

    bench: str
    settings: Mapping[str, Any]
    figures: Sequence[Figure]

    def as_json(self) -> str:
        """One object for programs."""
        figures = [figure.as_json() for figure in self.figures]
        return json.dumps({"bench": self.bench, "settings": dict(self.settings), "figures": figures})

    def as_table(self) -> Table:
        """A table for people."""
        title = f"{self.bench}: " + ", ".join(f"{name} {value}" for name, value in self.settings.items())
        table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
        for column in ("what", "per s", "of raw", "p50 ms", "p99 ms", "target"):
            table.add_column(column, justify="left" if column in ("what", "target") else "right", no_wrap=True)
        for figure in self.figures:
            table.add_row(*_cells(figure))
            for name, value in figure.more.items():
                table.add_row(f"  {name}", f"{value:,.6g}")
        return table


def _cells(figure: Figure) -> Sequence[str]:
    timed = figure.latencies
    return (
        figure.name,
        "" if figure.per_s is None else f"{figure.per_s:,.0f}",
        "" if figure.of_raw is None else f"{figure.of_raw:.0%}",
        "" if timed is None else f"{timed.p50_ms:.1f}",
        "" if timed is None else f"{timed.p99_ms:.1f}",
        figure.target,
    )
