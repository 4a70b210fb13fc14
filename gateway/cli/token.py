"""Tokens of the local signing key."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Annotated

import typer

from gateway.cli.options import DataOption, OutputOption, settings_of
from gateway.cli.output import Output, fail
from gateway.remote.connection import USAGE, CommandLineError

commands = typer.Typer()


@commands.command()
def token(
    subject: Annotated[str, typer.Option(help="Who it is for; stands as the author in the log.")],
    scope: Annotated[list[str], typer.Option(help="commands:write, queries:read or admin; may be repeated.")],
    expires: Annotated[str, typer.Option(help="For how long: 30m, 12h, 7d.")] = "1h",
    data: DataOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a token with the local signing key of a data directory.

    Examples:
      rayleans token --scope queries:read --subject bob --expires 1h

      rayleans token --scope commands:write --scope queries:read --subject shop --expires 7d --output json
    """
    from gateway.access.auth import TOKEN_SCOPES
    from gateway.access.local_key import LocalKey, LocalKeyError

    scopes = [each for part in scope for each in part.split()]
    unknown = sorted(set(scopes) - set(TOKEN_SCOPES))
    if not scopes or not subject.strip():
        fail(CommandLineError("a token without a subject or without a scope is good for nothing", USAGE))
    if unknown:
        fail(CommandLineError(f"no such scope: {', '.join(unknown)}; there are {', '.join(TOKEN_SCOPES)}", USAGE))
    try:
        minted = LocalKey.load(settings_of(data).data).mint(subject, scopes, _lifetime(expires))
    except (LocalKeyError, CommandLineError) as exc:
        fail(exc)
    typer.echo(json.dumps({"token": minted}) if output is Output.JSON else minted)


def _lifetime(text: str) -> timedelta:
    matched = re.fullmatch(r"([1-9]\d{0,5})([smhd])", text)
    if matched is None:
        raise CommandLineError(f"{text!r} is no time; write 30m, 12h or 7d", USAGE)
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[matched[2]]
    return timedelta(**{unit: int(matched[1])})
