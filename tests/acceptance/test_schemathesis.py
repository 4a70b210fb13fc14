"""Whatever the description of the API allows, or forbids, is sent to the service; every answer is as described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.serving import Served

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CASES_OF_A_LONG_RUN = 5_000


def test_api_is_as_it_is_described(served: Served) -> None:
    assert generated(served, "--phases", "examples,coverage,fuzzing", "--max-examples", "1") > 200


@pytest.mark.long
@pytest.mark.timeout(900)
def test_api_is_as_it_is_described_in_thousands_of_cases(served: Served) -> None:
    assert generated(served, "--max-examples", "200") > CASES_OF_A_LONG_RUN


def generated(served: Served, *arguments: str) -> int:
    """How many cases schemathesis has sent; all its checks and our own must hold for each."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml")]
    more = ["--checks", "all", "--mode", "all", "--seed", "1", "--no-color", *arguments]
    done = subprocess.run(
        [*command, "run", f"{served.url}/openapi.json", "-H", f"Authorization: Bearer {served.token}", *more],
        capture_output=True,
        text=True,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.acceptance.problem_check", "PYTHONPATH": str(ROOT)},
        cwd=served.data,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    found = re.search(r"([\d,]+) generated", done.stdout)
    assert found is not None, done.stdout[-2_000:]
    return int(found[1].replace(",", ""))
