"""A Ray cluster that is not the service's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from actors.ray_settings import RAY_SETTINGS
from gateway.http.free_port import free_port

RAY = str(Path(sys.executable).with_name("ray"))


@contextmanager
def ray_cluster(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Its address, and the process under which all of its processes are."""
    address = f"127.0.0.1:{free_port()}"
    command = [RAY, "start", "--head", "--block", "--port", address.rpartition(":")[2], "--num-cpus", "2"]
    quiet = ["--include-dashboard=false", "--object-store-memory", "100000000"]
    messages = folder / "ray.log"
    with messages.open("w") as log:
        env = os.environ | RAY_SETTINGS
        process = subprocess.Popen([*command, *quiet], stdout=log, stderr=log, env=env, start_new_session=True)
    try:
        while "Ray runtime started" not in messages.read_text():
            assert process.poll() is None, messages.read_text()
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
