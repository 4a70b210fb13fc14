"""A process whose work stands still ends, also when nothing in it can say so any more."""

from __future__ import annotations

import subprocess
import sys

import pytest

STUCK = """
import time
from actors.process import Pulse, end_process_without
clock = [0.0]
pulse = Pulse({now})
end_process_without(pulse, silent_s=0.2)
pulse.beat()
{work}
"""


def run(work: str, now: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STUCK.format(work=work, now=now)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_process_that_is_stuck_ends() -> None:
    done = run("while True: pass", now="time.monotonic")

    assert done.returncode == 1
    assert "stands still" in done.stderr


@pytest.mark.parametrize("beat", ["pulse.beat()", "pulse.rest()"])
def test_process_whose_work_goes_on_or_rests_lives(beat: str) -> None:
    work = f"for _ in range(20): clock[0] += 0.05; {beat}; time.sleep(0.05)"

    # By real time, a busy machine may let it be silent for too long.
    done = run(work, now="lambda: clock[0]")

    assert done.returncode == 0
