"""Options that several commands have, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
import typer

from gateway.cli.output import Output, fail
from gateway.remote.connection import DEFAULT_URL
from gateway.remote.path import key_in_path
from gateway.settings import Settings, SettingsError, check, read_settings


def _address(url: str | None) -> str | None:
    """Callback of the option for one; wrong usage when nothing can be there."""
    try:
        parts = httpx.URL(url or DEFAULT_URL)
    except httpx.InvalidURL as exc:
        raise typer.BadParameter(f"{url!r} is no address: {exc}") from exc
    if parts.scheme not in ("http", "https") or not parts.host:
        raise typer.BadParameter(f"{url!r} is no address; write it as {DEFAULT_URL}")
    return url


DataOption = Annotated[Path | None, typer.Option(help="Directory of everything that is this service's own.")]
UrlOption = Annotated[str | None, typer.Option(envvar="RAYLEANS_URL", help="Of the service.", callback=_address)]
TokenFileOption = Annotated[Path | None, typer.Option(envvar="RAYLEANS_TOKEN_FILE", help="File with a token.")]
OutputOption = Annotated[Output, typer.Option(help="A table for people or JSON for programs.")]


def settings_of(data: Path | None) -> Settings:
    """The settings of a service on this machine; None = its data directory is the usual one."""
    try:
        settings = read_settings() if data is None else read_settings(data=data)
        check(settings)
    except SettingsError as exc:
        fail(exc)
    return settings


def part_of_path(name: str) -> str:
    """Callback of an argument that becomes a part of a path; wrong usage when it would lead elsewhere."""
    try:
        return key_in_path(name)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
