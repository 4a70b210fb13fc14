"""The service itself: run it, show it, open its console."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from actors.runtime.placement import Placement
from gateway.cli.options import DataOption, UrlOption, settings_of
from gateway.cli.output import fail, messages, run
from gateway.remote.connection import REJECTED, CommandLineError, service_url

commands = typer.Typer()


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8700,
    data: DataOption = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; without it, one is started.")] = None,
    silos: Annotated[int, typer.Option(min=1, help="Ray actors that hold customers and orders.")] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="Slices of the log, fixed when it is made.")] = 16,
    gateways: Annotated[int, typer.Option(min=1, max=64, help="HTTP servers, sharing the port.")] = 1,
    placement: Annotated[
        Placement, typer.Option(help="Who gets a Ray actor of its own: the busiest, all customers, or nobody.")
    ] = Placement.AUTO,
    runners: Annotated[int, typer.Option(min=1, max=64, help="Ray actors that share each view out.")] = 1,
) -> None:
    """Run the service: starts PostgreSQL, Ray and the actors, whatever is missing.

    Prints `ready URL` on stdout when commands and queries work; ends on SIGINT or SIGTERM, and with exit code 4 when
    a newer service has taken its log over.

    Examples:
      rayleans serve

      rayleans serve --port 9000 --data /var/lib/rayleans

      RAYLEANS_EVENTS_URL=postgresql://… RAYLEANS_VIEWS_URL=postgresql://… rayleans serve --address auto
    """
    from actors.store.event_store import Superseded
    from gateway.serve import Plan
    from gateway.serve import serve as serve_until_signal

    plan = Plan(host, port, address, silos, partitions, gateways, placement, runners)
    try:
        run(serve_until_signal(settings_of(data), plan, messages.print, lambda url: typer.echo(f"ready {url}")))
    except Superseded as newer:
        fail(CommandLineError(f"{newer}; this one has stopped: use that one, or start this one again", REJECTED))


@commands.command()
def console(url: UrlOption = None, data: DataOption = None) -> None:
    """Print a link that opens the console and signs in, once, within an hour. For the local signing key only.

    Example:
      xdg-open "$(rayleans console)"
    """
    from gateway.access.local_key import LocalKey, LocalKeyError
    from gateway.access.sign_in import SignInCodes, console_link

    folder = settings_of(data).data
    try:
        code = SignInCodes(folder).make(LocalKey.load(folder))
    except LocalKeyError as exc:
        fail(exc)
    typer.echo(console_link(service_url(url), code))


@commands.command()
def demo() -> None:
    """Show the whole system at work, in a temporary directory, in under a minute.

    Example:
      rayleans demo
    """
    from gateway.demo import show

    run(show(Console(highlight=False, soft_wrap=True), messages.print))
