"""Projections: see what they do, rebuild, pause and resume them, and decide about events that they cannot fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli.asking import Asking
from gateway.cli.options import part_of_path
from gateway.cli.unfold import unfold


class _ListsByItself(TyperGroup):
    """A group that does its `list` when no command of it is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a shell completes the line
            return super().parse_args(ctx, args)
        unnamed = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if unnamed else args)


commands = typer.Typer(cls=_ListsByItself)
parked = typer.Typer(no_args_is_help=True, help="Events that a projection has not folded.")
commands.add_typer(parked, name="parked")

ROUTE = "/v1/admin/projections"

NameArgument = Annotated[str, typer.Argument(help="Of the projection.", callback=part_of_path)]
IdArgument = Annotated[int, typer.Argument(help="Of the event, as `parked list` shows it.")]


@commands.callback()
def projections() -> None:
    """See what projections do, and steer them; without a command all are listed. Needs a token with the scope admin."""


@commands.command("list")
@unfold
def list_(service: Asking) -> None:
    """List all projections, as `rayleans projections` alone does.

    Example:
      rayleans projections list --output json
    """
    items = service.ask("GET", ROUTE)["items"]
    if service.for_people:
        items = [_in_short(item) for item in items]
    service.show_items(items, ("name", "version", "state", "lag", "events_per_s", "parked", "rebuild", "error"))


@commands.command()
@unfold
def show(name: NameArgument, service: Asking) -> None:
    """Show one projection, and how far a rebuild of it is.

    Example:
      rayleans projections show customers
    """
    _show(service, "GET", f"/{name}")


@commands.command()
@unfold
def rebuild(
    name: NameArgument,
    accept: Annotated[
        bool, typer.Option("--accept", help="Serve the version that was built, though it differs.")
    ] = False,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Give it up, or return to the version before.")
    ] = False,
    drop_kept: Annotated[bool, typer.Option("--drop-kept", help="Drop the version that could be taken back.")] = False,
    *,
    service: Asking,
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
    _show(service, "POST", f"/{name}/{order}")


@commands.command()
@unfold
def pause(name: NameArgument, service: Asking) -> None:
    """Let a projection stand still, also after a restart.

    Example:
      rayleans projections pause customers
    """
    _show(service, "POST", f"/{name}/pause")


@commands.command()
@unfold
def resume(name: NameArgument, service: Asking) -> None:
    """Let a projection go on.

    Example:
      rayleans projections resume customers
    """
    _show(service, "POST", f"/{name}/resume")


@parked.command("list")
@unfold
def list_parked(name: NameArgument, service: Asking) -> None:
    """List the events that a projection has not folded, with what is in them and why.

    Example:
      rayleans projections parked list customers
    """
    items = service.ask("GET", f"{ROUTE}/{name}/parked")["items"]
    service.show_items(items, ("id", "state", "stream", "stream_version", "type", "data", "error"))


def _decides(decision: str, about: str) -> None:
    """Add the command of a decision about one event that is parked."""

    @parked.command(decision, help=f"{about}\n\nExample:\n  rayleans projections parked {decision} customers 7")
    @unfold
    def decide(name: NameArgument, parked_id: IdArgument, service: Asking) -> None:
        service.show_record(service.ask("POST", f"{ROUTE}/{name}/parked/{parked_id}/{decision}"))


_decides("park", "Set the event aside at which a projection stands; later ones of its row wait behind it.")
_decides("retry", "Fold what is parked of the row of an event, in its order, as far as it goes.")
_decides("skip", "Leave an event out for ever, and fold what waits behind it.")


def _show(service: Asking, method: str, path: str) -> None:
    status = service.ask(method, f"{ROUTE}{path}")
    service.show_record(_in_short(status) if service.for_people else status)


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
