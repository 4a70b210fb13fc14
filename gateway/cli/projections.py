"""Projections: see what they do, rebuild, pause and resume them, and decide about events that they cannot fold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import OutputOption, TokenFileOption, UrlOption
from gateway.cli.output import Output, run, show_items, show_record
from gateway.connection import ask, open_gateway

commands = typer.Typer(no_args_is_help=True)
parked = typer.Typer(no_args_is_help=True, help="Events that a projection has not folded.")
commands.add_typer(parked, name="parked")

NameArgument = Annotated[str, typer.Argument(help="Of the projection.")]
IdArgument = Annotated[int, typer.Argument(help="Of the event, as `parked list` shows it.")]


@commands.callback()
def projections() -> None:
    """See what projections do, and steer them; needs a token with the scope admin."""


@commands.command("list")
def list_(url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE) -> None:
    """List all projections.

    Example:
      rayleans projections list
    """
    items = run(_ask(url, token_file, "GET", ""))["items"]
    if output is Output.TABLE:
        items = [_in_short(item) for item in items]
    show_items(output, items, ("name", "version", "state", "lag", "events_per_s", "parked", "rebuild", "error"))


@commands.command()
def show(
    name: NameArgument, url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one projection, and how far a rebuild of it is.

    Example:
      rayleans projections show customers
    """
    _show(output, run(_ask(url, token_file, "GET", f"/{name}")))


@commands.command()
def rebuild(
    name: NameArgument,
    accept: Annotated[
        bool, typer.Option("--accept", help="Serve the version that was built, though it differs.")
    ] = False,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Give it up, or return to the version before.")
    ] = False,
    drop_kept: Annotated[bool, typer.Option("--drop-kept", help="Drop the version that could be taken back.")] = False,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Build a new version beside the served one; it is swapped in when it has the same rows.

    Examples:
      rayleans projections rebuild customers

      rayleans projections rebuild customers --take-back
    """
    chosen = [
        order for order, given in (("accept", accept), ("take-back", take_back), ("drop-kept", drop_kept)) if given
    ]
    if len(chosen) > 1:
        raise typer.BadParameter(f"--{chosen[0]} and --{chosen[1]} are two different things")
    order = chosen[0] if chosen else "rebuild"
    _show(output, run(_ask(url, token_file, "POST", f"/{name}/{order}")))


@commands.command()
def pause(
    name: NameArgument, url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Let a projection stand still, also after a restart.

    Example:
      rayleans projections pause customers
    """
    _show(output, run(_ask(url, token_file, "POST", f"/{name}/pause")))


@commands.command()
def resume(
    name: NameArgument, url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Let a projection go on.

    Example:
      rayleans projections resume customers
    """
    _show(output, run(_ask(url, token_file, "POST", f"/{name}/resume")))


@parked.command("list")
def list_parked(
    name: NameArgument, url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE
) -> None:
    """List the events that a projection has not folded, with what is in them and why.

    Example:
      rayleans projections parked list customers
    """
    items = run(_ask(url, token_file, "GET", f"/{name}/parked"))["items"]
    show_items(output, items, ("id", "state", "stream", "stream_version", "type", "data", "error"))


@parked.command()
def park(
    name: NameArgument,
    parked_id: IdArgument,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set the event aside at which a projection stands; later ones of its row wait behind it.

    Example:
      rayleans projections parked park customers 7
    """
    _decide(name, parked_id, "park", url, token_file, output)


@parked.command()
def retry(
    name: NameArgument,
    parked_id: IdArgument,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Fold what is parked of the row of an event, in its order, as far as it goes.

    Example:
      rayleans projections parked retry customers 7
    """
    _decide(name, parked_id, "retry", url, token_file, output)


@parked.command()
def skip(
    name: NameArgument,
    parked_id: IdArgument,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Leave an event out for ever, and fold what waits behind it.

    Example:
      rayleans projections parked skip customers 7
    """
    _decide(name, parked_id, "skip", url, token_file, output)


def _decide(name: str, parked_id: int, decision: str, url: str | None, token_file: Path | None, output: Output) -> None:
    show_record(output, run(_ask(url, token_file, "POST", f"/{name}/parked/{parked_id}/{decision}")))


async def _ask(url: str | None, token_file: Path | None, method: str, path: str) -> Any:
    async with open_gateway(url, token_file) as http:
        return await ask(http, method, f"/v1/admin/projections{path}")


def _show(output: Output, status: Mapping[str, Any]) -> None:
    show_record(output, status if output is Output.JSON else _in_short(status))


def _in_short(status: Mapping[str, Any]) -> dict[str, Any]:
    """For people: the lag and the rebuild as a few words."""
    lag, rebuild = status["lag"], status["rebuild"]
    return {
        **status,
        "lag": f"{lag['events']} events, {lag['seconds']:.1f} s",
        "events_per_s": f"{status['events_per_s']:.0f}",
        "rebuild": None if rebuild is None else _rebuild_in_short(rebuild),
    }


def _rebuild_in_short(rebuild: Mapping[str, Any]) -> str:
    if rebuild["error"] is not None:
        return f"version {rebuild['version']}: {rebuild['error']}"
    left = "" if rebuild["seconds_left"] is None else f", {rebuild['seconds_left']:.0f} s left"
    return (
        f"version {rebuild['version']}: {rebuild['events']} events, {rebuild['missing']} missing, "
        f"{rebuild['events_per_s']:.0f}/s with {rebuild['runners']} processes{left}"
    )
