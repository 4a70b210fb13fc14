"""Looks at everything around the service that has to be right, and says what to do where it is not.

It changes nothing, and works whether the service runs or not.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any, Literal

import asyncpg
import httpx
import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from actors.ray_settings import RAY_SETTINGS
from actors.store.driver import DRIVER_ERRORS, SERVER, told
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import OLDEST_VERSION
from actors.store.sql_files import load_queries
from gateway.database_address import place_of
from gateway.settings import Settings

CONNECT_TIMEOUT_S = 5.0
LARGEST_CLOCK_DIFFERENCE_S = 1.0
LITTLE_DISK, TOO_LITTLE_DISK = 2 * 1024**3, 256 * 1024**2
LITTLE_MEMORY = 1024**3
FEWEST_FILES = 1_024
CONNECTIONS_NEEDED = 30

Verdict = Literal["ok", "warning", "failed"]

_SQL = load_queries("gateway", "doctor.sql")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        found: what is the case.
        advice: what to do; empty when nothing has to be done.
    """

    what: str
    verdict: Verdict
    found: str
    advice: str = ""


async def examine(settings: Settings, url: str) -> Sequence[Check]:
    """All checks of this machine, the data directory, the databases and the service at `url`."""
    return [
        *_programs(),
        *_machine(settings.data),
        *_data_directory(settings.data),
        *_ray_settings(),
        *await _databases(settings),
        await _service(url),
    ]


def _programs() -> Iterator[Check]:
    python, fitting = platform.python_version(), metadata("rayleans")["Requires-Python"]
    fits = SpecifierSet(fitting).contains(python, prereleases=True)
    yield _check("Python", fits, python, f"this release needs Python {fitting}; uv finds or brings one")
    for requirement in map(Requirement, requires("rayleans") or []):
        if requirement.name not in ("ray", "asyncpg", "litestar", "granian", "pydantic"):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield Check(requirement.name, "failed", "not installed", "uv sync")
            continue
        fits = requirement.specifier.contains(installed, prereleases=True)
        yield _check(requirement.name, fits, installed, f"this release needs {requirement}; uv sync installs it")


def _machine(data: Path) -> Iterator[Check]:
    free = shutil.disk_usage(_nearest(data)).free
    verdict: Verdict = "failed" if free < TOO_LITTLE_DISK else "warning" if free < LITTLE_DISK else "ok"
    yield Check("disk", verdict, f"{_size(free)} free", "" if verdict == "ok" else f"make room where {data} is")
    memory = psutil.virtual_memory().available
    advice = "Ray, PostgreSQL and the silos together want a gigabyte; end something else"
    yield _check("memory", memory >= LITTLE_MEMORY, f"{_size(memory)} available", advice, otherwise="warning")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _check("open files", files >= FEWEST_FILES, str(files), "raise it: ulimit -n 65536", otherwise="warning")


def _data_directory(data: Path) -> Iterator[Check]:
    if not data.exists():
        yield Check("data directory", "ok", f"{data} is not there yet", "")
        return
    yield _check("data directory", os.access(data, os.W_OK), str(data), "its owner must be who runs `rayleans serve`")
    for name in ("token", "signing-key.pem"):
        path = data / name
        if path.exists():
            mode = path.stat().st_mode & 0o777
            yield _check(name, mode & 0o077 == 0, f"mode {mode:04o}", f"others may read it: chmod 600 {path}")


def _ray_settings() -> Iterator[Check]:
    for name, pinned in RAY_SETTINGS.items():
        value = os.environ.get(name, pinned)
        advice = f"the environment says so; rayleans was tried with {name}={pinned}: unset {name}"
        yield _check(name, value == pinned, value, advice, otherwise="warning")


async def _databases(settings: Settings) -> list[Check]:
    embedded = EmbeddedPostgres(settings.data)
    checks = []
    for name, given in (("events", settings.events_url), ("views", settings.views_url)):
        if given is None and not (settings.data / "postgres").exists():
            checks.append(Check(f"{name} database", "ok", "embedded, not made yet"))
        else:
            checks += await _database(name, given or embedded.url(name), embedded=given is None)
    return checks


async def _database(name: str, url: str, *, embedded: bool) -> list[Check]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, target_session_attrs=SERVER)
    except (*DRIVER_ERRORS, ValueError) as exc:
        if embedded:
            return [Check(f"{name} database", "warning", told(exc), "it runs while `rayleans serve` does")]
        advice = f"start it, or correct RAYLEANS_{name.upper()}_URL"
        return [Check(f"{name} database", "failed", f"{place_of(url)}: {told(exc)}", advice)]
    try:
        began = time.time()
        server = await connection.fetchrow(_SQL["server"])
        middle = (began + time.time()) / 2
    finally:
        await connection.close()
    return list(_server(name, server, middle))


def _server(name: str, server: Any, now: float) -> Iterator[Check]:
    new_enough = server["number"] >= OLDEST_VERSION * 10_000
    yield _check(f"{name} PostgreSQL", new_enough, server["version"], f"{OLDEST_VERSION} or later is needed")
    yield _check(f"{name} encoding", server["encoding"] == "UTF8", server["encoding"], "make the database with UTF8")
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        advice = f"an acknowledged command could be lost: ALTER SYSTEM SET {setting} = on, then reload"
        yield _check(f"{name} {setting}", server[setting] != "off", server[setting], advice)
    free = server["max_connections"] - server["connections"]
    advice = f"a service wants about {CONNECTIONS_NEEDED}: raise max_connections"
    enough = server["max_connections"] >= CONNECTIONS_NEEDED
    found = f"{server['connections']} of {server['max_connections']} in use"
    yield _check(f"{name} connections", enough and free > 0, found, advice, otherwise="warning")
    difference = server["clock"] - now
    advice = "times in the log come from the database: let both machines take theirs from one server (NTP)"
    close = abs(difference) <= LARGEST_CLOCK_DIFFERENCE_S
    yield _check(f"{name} clock", close, f"{difference * 1000:+.0f} ms to this machine", advice)


async def _service(url: str) -> Check:
    try:
        async with httpx.AsyncClient(timeout=CONNECT_TIMEOUT_S) as http:
            answer = (await http.get(f"{url}/readyz")).json()
    except (httpx.HTTPError, ValueError) as exc:
        return Check("service", "warning", f"no answer from {url}: {exc or type(exc).__name__}", "rayleans serve")
    if answer["ready"]:
        return Check("service", "ok", f"ready at {url}")
    return Check("service", "failed", "; ".join(answer["reasons"]), "rayleans status tells when that changes")


def _check(what: str, fine: bool, found: str, advice: str, otherwise: Verdict = "failed") -> Check:
    return Check(what, "ok", found) if fine else Check(what, otherwise, found, advice)


def _nearest(path: Path) -> Path:
    """The path itself, or the first folder above it that is there."""
    return next(each for each in (path.resolve(), *path.resolve().parents) if each.exists())


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GB" if count >= 1024**3 else f"{count / 1024**2:.0f} MB"
