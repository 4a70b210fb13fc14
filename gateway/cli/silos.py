"""The silos of a running service."""

from __future__ import annotations

from typing import Any

import typer

from gateway.cli.asking import Asking
from gateway.cli.unfold import unfold

commands = typer.Typer()


@commands.command()
@unfold
def silos(service: Asking) -> None:
    """Show the silos: where they run, what they own and since when, and how much they hold.

    Example:
      rayleans silos --output json
    """
    items = service.ask("GET", "/v1/admin/silos")["items"]
    if service.for_people:
        items = [_in_short(item) for item in items]
    service.show_items(items, ("name", "node", "pid", "partitions", "activations", "queued", "started_at", "takeover"))


def _in_short(item: dict[str, Any]) -> dict[str, Any]:
    """For people: the last takeover as one line."""
    last = item["takeover"]
    return {**item, "takeover": last and f"{last['at']}: {last['why']}"}
