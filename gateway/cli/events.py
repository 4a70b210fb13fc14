"""Events of the whole log, as they come."""

from __future__ import annotations

import json
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.asking import Asking
from gateway.cli.output import run, text_of
from gateway.cli.unfold import unfold
from gateway.remote.connection import ask
from gateway.remote.follow import FollowedEvent, follow

commands = typer.Typer(help="Events of the whole log.", no_args_is_help=True)


class Begin(StrEnum):
    """Where to begin."""

    START = "start"
    NOW = "now"


@commands.command()
@unfold
def tail(
    begin: Annotated[Begin, typer.Option("--from", help="The start of the log, or now.")] = Begin.NOW,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only these types; may be repeated.")] = None,
    last_id: Annotated[str | None, typer.Option("--last-id", help="Go on after the event with this id.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    *,
    service: Asking,
) -> None:
    """Print events as they come, until interrupted; each exactly once, also when the service goes away in between.

    Examples:
      rayleans events tail

      rayleans events tail --from start --type OrderPlaced --output json
    """
    run(_tail(service, begin, type_ or [], last_id, limit))


async def _tail(service: Asking, begin: Begin, types: list[str], last_id: str | None, limit: int | None) -> None:
    async with service.open() as http:
        await ask(http, "GET", "/healthz")
        printed = 0
        async with aclosing(follow(http, begin=begin, types=types, last_id=last_id)) as events:
            async for event in events:
                typer.echo(_line(event) if service.for_people else json.dumps({"id": event.id, **event.data}))
                printed += 1
                if printed == limit:
                    return


def _line(event: FollowedEvent) -> str:
    data = event.data
    what = f"{data['type']} {text_of(data['data'])}"
    return f"{data['recorded_at']}  {data['actor']}/{data['actor_id']} {data['version']}  {what}"
