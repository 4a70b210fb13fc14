"""Actors: what they are, what they were, and what happened to them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import OutputOption, TokenFileOption, UrlOption
from gateway.cli.output import Output, run, show_items, show_record
from gateway.connection import ask, open_gateway

_PAGE = 200
_COLUMNS = ("version", "recorded_at", "type", "data", "by")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of the actor.")]


def commands_for(kind: str, collection: str) -> typer.Typer:
    """`show` and `history` for one kind of actor."""
    commands = typer.Typer(help=f"What a {kind} is, was, and what happened to it.", no_args_is_help=True)

    @commands.command()
    def show(
        actor_id: IdArgument,
        as_of_version: Annotated[int | None, typer.Option(min=1, help="As it was at this version.")] = None,
        as_of: Annotated[str | None, typer.Option(help="As it was at this time, RFC 3339.")] = None,
        url: UrlOption = None,
        token_file: TokenFileOption = None,
        output: OutputOption = Output.TABLE,
    ) -> None:
        """Tell what it is, or was. Exit code 3 when there is none."""
        params = {"as_of_version": as_of_version, "as_of": as_of}
        given = {name: value for name, value in params.items() if value is not None}
        show_record(output, run(_ask(f"/v1/{collection}/{actor_id}", given, url, token_file)))

    @commands.command()
    def history(
        actor_id: IdArgument,
        after_version: Annotated[int, typer.Option(min=0, help="Begin behind this version.")] = 0,
        limit: Annotated[int, typer.Option(min=1, help="How many events at the most.")] = 1_000,
        url: UrlOption = None,
        token_file: TokenFileOption = None,
        output: OutputOption = Output.TABLE,
    ) -> None:
        """Tell what happened to it, oldest first, and who did it. Exit code 3 when there is none."""
        path = f"/v1/{collection}/{actor_id}/history"
        show_items(output, run(_history(path, after_version, limit, url, token_file)), _COLUMNS)

    return commands


async def _ask(path: str, params: dict[str, Any], url: str | None, token_file: Path | None) -> Any:
    async with open_gateway(url, token_file) as http:
        return await ask(http, "GET", path, params=params)


async def _history(
    path: str, after_version: int | None, limit: int, url: str | None, token_file: Path | None
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    async with open_gateway(url, token_file) as http:
        while after_version is not None and len(items) < limit:
            params = {"after_version": after_version, "limit": min(_PAGE, limit - len(items))}
            page = await ask(http, "GET", path, params=params)
            items += page["items"]
            after_version = page["next_after_version"]
    return items
