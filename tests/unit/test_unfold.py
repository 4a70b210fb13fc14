from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner

from gateway.cli.unfold import unfold


@dataclass
class Load:
    customers: Annotated[int, typer.Option(min=1, help="How many.")] = 10
    seconds: float = 8.0
    events: int = field(default=2, init=False)


app = typer.Typer(rich_markup_mode=None)


@app.command()
@unfold
def measure(name: Annotated[str, typer.Argument()], load: Load, as_json: bool = False) -> None:
    """Measure it."""
    typer.echo(f"{name} {load} {as_json}")


def test_fields_of_a_dataclass_are_options_of_the_command() -> None:
    given = CliRunner().invoke(app, ["it", "--customers", "3", "--as-json"])
    refused = CliRunner().invoke(app, ["it", "--customers", "0"])

    assert given.stdout == "it Load(customers=3, seconds=8.0, events=2) True\n"
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_options_stand_where_the_parameter_stood_and_what_cannot_be_chosen_is_none() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout

    assert shown.index("Measure it.") < shown.index("--customers") < shown.index("--seconds") < shown.index("--as-json")
    assert "How many." in shown
    assert "--events" not in shown
