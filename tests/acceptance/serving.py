"""The service as users run it: `rayleans serve` as a process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

from gateway.http.free_port import free_port

STARTS_WITHIN_S = 60.0


@dataclass
class Served:
    """A service that runs as a process of its own.

    Attributes:
        command, env: what it was started with.
        messages: file with what it said.
        cluster: the process under which its actors are when they are in a Ray cluster of somebody else.
    """

    command: Sequence[str]
    env: Mapping[str, str]
    url: str
    data: Path
    messages: Path
    process: subprocess.Popen[str]
    cluster: psutil.Process | None = None

    @cached_property
    def token(self) -> str:
        """With all scopes."""
        return (self.data / "token").read_text().strip()

    @cached_property
    def http(self) -> httpx.Client:
        """A client with all scopes."""
        # Views have the time that a busy machine takes, where a test does not say another.
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": "wait=30"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60.0)

    @property
    def ray_address(self) -> str:
        """Of the Ray cluster of the service."""
        return (self.data / "ray-address").read_text().strip()

    @property
    def ray_environment(self) -> dict[str, str]:
        """The environment of a program that is to join the Ray cluster of the service."""
        return os.environ | {"RAY_ADDRESS": self.ray_address}

    def run_python(self, program: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program in the Ray cluster of the service to its end."""
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, env=self.ray_environment, check=False)

    def wait_until_ready(self) -> None:
        """Wait for the line that says so; a service that does not get so far is ended."""
        assert self.process.stdout is not None
        said, _, _ = select.select([self.process.stdout], [], [], STARTS_WITHIN_S)
        line = self.process.stdout.readline() if said else ""
        if line != f"ready {self.url}\n":
            self.end()
            raise AssertionError(f"not ready within {STARTS_WITHIN_S} s; it said:\n{self.messages.read_text()}")

    def actors(self, kind: str) -> list[psutil.Process]:
        """The processes of Ray actors of a kind: `Silo`, `Projection`, `Gateway`."""
        children = (self.cluster or psutil.Process(self.process.pid)).children(recursive=True)
        return [child for child in children if _title(child).startswith(f"ray::{kind}Actor")]

    def stop(self) -> int:
        """Stop in order; the exit code. It has said nothing on stdout but that it was ready."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        said = self.process.stdout.read()
        self._close()
        assert not said, said
        messages = self.messages.read_text()
        assert "did not stop in order" not in messages, messages
        return code

    def ended(self) -> int:
        """The exit code of one that has ended by itself."""
        code = self.process.wait(timeout=0)
        self._close()
        return code

    def end(self) -> None:
        """Stop it in order, or kill it when it does not."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the process and everything it started, at once."""
        processes = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in processes:
            # Those of Ray end by themselves when they miss another.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
        if "http" in self.__dict__:
            self.http.close()
            del self.http

    def start_again(self) -> None:
        """Start it anew after its end; it is not ready yet."""
        self.process = _launch(self.command, self.env, self.messages)


def start(data: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Served:
    """Start a service; it is not ready yet."""
    port = free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--data", str(data), "--port", str(port), *arguments]
    messages = data.with_suffix(f".{port}.messages")
    env = os.environ | dict(env or {})
    return Served(command, env, f"http://127.0.0.1:{port}", data, messages, _launch(command, env, messages))


def _launch(command: Sequence[str], env: Mapping[str, str], messages: Path) -> subprocess.Popen[str]:
    with messages.open("a") as stderr:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env)


def run(
    *arguments: str, served: Served | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line to its end."""
    env = os.environ | dict(env or {})
    if served is not None:
        env |= {"RAYLEANS_URL": served.url, "RAYLEANS_TOKEN_FILE": str(served.data / "token")}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, env=env, check=False
    )


def patiently(request: Any, within_s: float, *, until: int = httpx.codes.OK) -> httpx.Response:
    """Repeat a request until it is answered with a status."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            response: httpx.Response = request()
            if response.status_code == until:
                return response
            problem = response.text
        except httpx.TransportError as exc:
            problem = repr(exc)
        assert time.monotonic() < deadline, problem


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
