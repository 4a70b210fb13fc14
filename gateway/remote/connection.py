"""How the command line finds a running service, and what it says when something goes wrong there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx

from gateway.remote.errors import wrong_fields
from gateway.remote.next_step import next_step
from gateway.settings import read_settings

DEFAULT_URL = "http://127.0.0.1:8700"

OK, ERROR, USAGE, NOT_FOUND, REJECTED, NOT_ALLOWED, UNAVAILABLE, CHECK_FAILED = range(8)

_TOKEN = re.compile(rb"[!-~]+")
_FROM_SERVE = "rayleans serve, which writes one here; or name the file with --token-file or RAYLEANS_TOKEN_FILE"

_EXIT_CODES = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND, 409: REJECTED, 412: REJECTED, 422: REJECTED}


class CommandLineError(Exception):
    """Ends a command with a message on stderr and an exit code; `next_step` is what to try then."""

    def __init__(self, message: str, exit_code: int = ERROR, next_step: str = "") -> None:
        super().__init__(message, exit_code, next_step)
        self.message, self.exit_code, self.next_step = message, exit_code, next_step

    def __str__(self) -> str:
        return self.message


def open_gateway(url: str | None, token_file: Path | None) -> httpx.AsyncClient:
    """An HTTP client of the service.

    Args:
        url: of the gateway; None = `RAYLEANS_URL`, else the default of `serve`.
        token_file: None = `RAYLEANS_TOKEN_FILE`, else the one `serve` wrote into the data directory.

    Raises:
        CommandLineError: the token cannot be read.
        SettingsError: the settings, which say where the data directory is, cannot be read.
    """
    return httpx.AsyncClient(
        base_url=service_url(url),
        headers={"Authorization": f"Bearer {_read_token(token_file)}"},
        timeout=httpx.Timeout(60.0, connect=5.0),
    )


def service_url(url: str | None) -> str:
    """Where the service is: as given, else `RAYLEANS_URL`, else the default of `serve`."""
    return (url or os.environ.get("RAYLEANS_URL") or DEFAULT_URL).rstrip("/")


def _read_token(token_file: Path | None) -> str:
    path = token_file or Path(os.environ.get("RAYLEANS_TOKEN_FILE") or read_settings().data / "token")
    try:
        token = path.read_bytes().strip()
    except OSError as exc:
        raise CommandLineError(f"cannot read the token in {path}: {exc.strerror}", NOT_ALLOWED, _FROM_SERVE) from exc
    if _TOKEN.fullmatch(token) is None:
        raise CommandLineError(f"there is no token in {path}", NOT_ALLOWED, _FROM_SERVE)
    return token.decode("ascii")


async def ask(http: httpx.AsyncClient, method: str, path: str, *, also: Collection[int] = (), **sent: Any) -> Any:
    """The JSON that the service answers.

    Args:
        also: statuses that are answers too, beside 2xx.
        sent: what httpx sends: `params`, `json`, `headers`.

    Raises:
        CommandLineError: it does not answer, or answers with a problem.
    """
    try:
        response = await http.request(method, path, **sent)
    except httpx.TransportError as exc:
        raise CommandLineError(
            f"no answer from {http.base_url}: {exc or type(exc).__name__}",
            UNAVAILABLE,
            "rayleans serve, or name another address with --url or RAYLEANS_URL",
        ) from exc
    if not response.is_success and response.status_code not in also:
        raise problem(response)
    return response.json()


def problem(response: httpx.Response) -> CommandLineError:
    """The error for an answer that is not 2xx: what is wrong, the number of the request, and what to try next."""
    status, path = response.status_code, response.request.url.path
    exit_code = _EXIT_CODES.get(status, UNAVAILABLE if status >= 500 else ERROR)
    try:
        body = response.json()
    except ValueError:
        return CommandLineError(f"{status}: {response.reason_phrase}", exit_code, next_step(status, "", path))
    code = str(body.get("code", ""))
    wrong = "".join(f"\n  {each}" for each in wrong_fields(body))
    said = f"{body.get('detail') or body.get('title')} ({code}, request {body.get('request_id')}){wrong}"
    return CommandLineError(f"{status}: {said}", exit_code, next_step(status, code, path))
