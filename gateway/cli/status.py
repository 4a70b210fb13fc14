"""Whether a service works, once or for as long as somebody watches."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.live import Live

from gateway.cli.asking import Asking
from gateway.cli.output import record_table, run
from gateway.cli.unfold import unfold
from gateway.remote.connection import UNAVAILABLE, CommandLineError, ask

commands = typer.Typer()


@commands.command()
@unfold
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until you interrupt it.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks, with --watch.")] = 2.0,
    *,
    service: Asking,
) -> None:
    """Tell whether a service works, and if not, why. Exit code 6 when it does not.

    With --watch a table is drawn again and again; JSON is one object on each line.

    Examples:
      rayleans status --output json

      rayleans status --watch
    """
    if watch:
        with suppress(KeyboardInterrupt):
            run(_watch(service, every))
        return
    found = run(_status(service))
    service.show_record(found)
    raise typer.Exit(0 if found["ready"] else UNAVAILABLE)


async def _status(service: Asking) -> dict[str, Any]:
    async with service.open() as http:
        return await _look(http)


async def _watch(service: Asking, every_s: float) -> None:
    table = service.for_people and sys.stdout.isatty()
    async with service.open() as http:
        with (
            Live(console=Console(highlight=False, markup=False), auto_refresh=False, screen=False)
            if table
            else nullcontext() as live
        ):
            while True:
                found = await _look_again(http)
                if live is not None:
                    live.update(record_table(found), refresh=True)
                else:
                    typer.echo(json.dumps(found))
                await asyncio.sleep(every_s)


async def _look_again(http: httpx.AsyncClient) -> dict[str, Any]:
    """As `_look`; a service that is away is something to see, not the end."""
    try:
        return await _look(http)
    except CommandLineError as exc:
        return {"url": str(http.base_url), "ready": False, "reasons": [str(exc)]}


async def _look(http: httpx.AsyncClient) -> dict[str, Any]:
    up = await ask(http, "GET", "/healthz")
    readiness = await ask(http, "GET", "/readyz", also=(503,))
    return {
        "url": str(http.base_url),
        "version": up["version"],
        "started_at": up["started_at"],
        "ready": readiness["ready"],
        "reasons": readiness["reasons"],
        **await _inside(http),
    }


async def _inside(http: httpx.AsyncClient) -> Mapping[str, Any]:
    """What only operators are told; null for others."""
    silos = await ask(http, "GET", "/v1/admin/silos", also=(401, 403, 404, 503))
    projections = await ask(http, "GET", "/v1/admin/projections", also=(401, 403, 404, 503))
    silo_items, projection_items = silos.get("items"), projections.get("items")
    refusals = [each["detail"] for each in (silos, projections) if "items" not in each]
    return {
        **({"not_told": refusals[0]} if refusals else {}),
        "silos": len(silo_items) if silo_items is not None else None,
        "activations": _sum(silo_items, "activations"),
        "queued": _sum(silo_items, "queued"),
        "projections": _states(projection_items),
        "worst_lag_s": max((each["lag"]["seconds"] for each in projection_items), default=0.0)
        if projection_items is not None
        else None,
    }


def _sum(items: list[dict[str, Any]] | None, field: str) -> int | None:
    return None if items is None else sum(each[field] for each in items)


def _states(items: list[dict[str, Any]] | None) -> list[str] | None:
    return None if items is None else [f"{each['name']}: {each['state']}" for each in items]
