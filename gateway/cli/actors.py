"""Actors: what they are, what they were, and what happened to them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.asking import Asking
from gateway.cli.options import part_of_path
from gateway.cli.output import run
from gateway.cli.unfold import unfold
from gateway.remote.connection import ask

_PAGE = 200
_COLUMNS = ("version", "recorded_at", "type", "data", "by")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of the actor.", callback=part_of_path)]


def commands_for(collection: str) -> typer.Typer:
    """`show` and `history` for one kind of actor."""
    commands = typer.Typer(help=f"What {collection} are, were, and what happened to them.", no_args_is_help=True)

    @commands.command()
    @unfold
    def show(
        actor_id: IdArgument,
        as_of_version: Annotated[int | None, typer.Option(min=1, help="As it was at this version.")] = None,
        as_of: Annotated[str | None, typer.Option(help="As it was at this time, RFC 3339.")] = None,
        *,
        service: Asking,
    ) -> None:
        """Tell what it is, or was. Exit code 3 when there is none."""
        params = {"as_of_version": as_of_version, "as_of": as_of}
        given = {name: value for name, value in params.items() if value is not None}
        service.show_record(service.ask("GET", f"/v1/{collection}/{actor_id}", params=given))

    @commands.command()
    @unfold
    def history(
        actor_id: IdArgument,
        after_version: Annotated[int, typer.Option(min=0, help="Begin after this version.")] = 0,
        limit: Annotated[int, typer.Option(min=1, help="How many events at the most.")] = 1_000,
        *,
        service: Asking,
    ) -> None:
        """Tell what happened to it, oldest first, and who did it. Exit code 3 when there is none."""
        path = f"/v1/{collection}/{actor_id}/history"
        service.show_items(run(_history(service, path, after_version, limit)), _COLUMNS)

    return commands


async def _history(service: Asking, path: str, after_version: int | None, limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    async with service.open() as http:
        while after_version is not None and len(items) < limit:
            params = {"after_version": after_version, "limit": min(_PAGE, limit - len(items))}
            page = await ask(http, "GET", path, params=params)
            items += page["items"]
            after_version = page["next_after_version"]
    return items
