"""Events of the whole log, as they come."""

from __future__ import annotations

import json
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import OutputOption, TokenFileOption, UrlOption
from gateway.cli.output import Output, run
from gateway.connection import ask, open_gateway
from gateway.follow import Message, follow

commands = typer.Typer(help="Events of the whole log.", no_args_is_help=True)


class Begin(StrEnum):
    """Where to begin."""

    START = "start"
    NOW = "now"


@commands.command()
def tail(
    begin: Annotated[Begin, typer.Option("--from", help="The start of the log, or now.")] = Begin.NOW,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only these types; may be repeated.")] = None,
    last_id: Annotated[str | None, typer.Option("--last-id", help="Go on behind the event with this id.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print events as they come, until interrupted; each exactly once, also when the service goes away in between.

    Examples:
      rayleans events tail

      rayleans events tail --from start --type OrderPlaced --output json
    """
    run(_tail(begin, type_ or [], last_id, limit, output, url, token_file))


async def _tail(
    begin: Begin,
    types: list[str],
    last_id: str | None,
    limit: int | None,
    output: Output,
    url: str | None,
    token_file: Path | None,
) -> None:
    async with open_gateway(url, token_file) as http:
        await ask(http, "GET", "/healthz")
        printed = 0
        async with aclosing(follow(http, begin=begin, types=types, last_id=last_id)) as messages:
            async for message in messages:
                typer.echo(json.dumps({"id": message.id, **message.data}) if output is Output.JSON else _line(message))
                printed += 1
                if printed == limit:
                    return


def _line(message: Message) -> str:
    data = message.data
    return f"{data['recorded_at']}  {data['actor']}/{data['actor_id']} {data['version']}  {data['type']} {data['data']}"
