from __future__ import annotations

import os
import subprocess
import sys

from gateway.http.free_port import free_port

PROGRAM = """
import asyncio
from actors import connect
from actors.errors import Unavailable

async def main():
    try:
        async with connect():
            pass
    except Unavailable as exc:
        print(exc)

asyncio.run(main())
"""


def test_program_that_finds_no_cluster_is_told_so_at_once() -> None:
    nobody = f"127.0.0.1:{free_port()}"

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=os.environ | {"RAY_ADDRESS": nobody},
        timeout=120,
        check=True,
    )

    assert f"no Ray cluster answers at {nobody}" in done.stdout
    assert "start the service, or Ray, there" in done.stdout
