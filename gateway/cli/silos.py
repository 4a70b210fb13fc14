"""The silos of a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from gateway.cli.options import OutputOption, TokenFileOption, UrlOption
from gateway.cli.output import Output, run, show_items
from gateway.connection import ask, open_gateway

commands = typer.Typer()


@commands.command()
def silos(url: UrlOption = None, token_file: TokenFileOption = None, output: OutputOption = Output.TABLE) -> None:
    """Show the silos: where they run, what they own and since when, and how much they hold.

    Example:
      rayleans silos --output json
    """
    items = run(_silos(url, token_file))
    if output is Output.TABLE:
        items = [_in_short(item) for item in items]
    show_items(output, items, ("name", "node", "pid", "partitions", "activations", "queued", "started_at", "takeover"))


def _in_short(item: dict[str, Any]) -> dict[str, Any]:
    """For people: the last takeover as one line."""
    last = item["takeover"]
    return {**item, "takeover": last and f"{last['at']}: {last['why']}"}


async def _silos(url: str | None, token_file: Path | None) -> list[dict[str, Any]]:
    async with open_gateway(url, token_file) as http:
        items: list[dict[str, Any]] = (await ask(http, "GET", "/v1/admin/silos"))["items"]
        return items
