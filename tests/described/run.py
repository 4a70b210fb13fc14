"""Schemathesis, with all its checks and one of our own, against a service that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def cases_without_failure(url: str, token: str, folder: Path, *arguments: str) -> int:
    """How many cases were sent; whatever the description allows or forbids must be answered as described."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json"]
    checks = ["--checks", "all", "--mode", "all", "--seed", "1", "--no-color"]
    done = subprocess.run(
        [*command, "-H", f"Authorization: Bearer {token}", *checks, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.described.hooks", "PYTHONPATH": str(ROOT)},
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    found = re.search(r"([\d,]+) generated", done.stdout)
    assert found is not None, done.stdout[-2_000:]
    return int(found[1].replace(",", ""))
