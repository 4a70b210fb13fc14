"""The processes of one PostgreSQL cluster, found by where they work: a pid file outlives what it names."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

STOP_TIMEOUT_S = 60.0
ORPHANS_TIMEOUT_S = 3.0
KILL_TIMEOUT_S = 10.0
LOOK_INTERVAL_S = 0.05


def processes_of(cluster: Path) -> list[psutil.Process]:
    """The postmaster of a cluster and its children, which can outlive it, in the order of their pids.

    Empty when nothing runs. Ended ones do not count, also where nobody takes note of their end.
    """
    at_work_there = {"name": "postgres", "cwd": str(cluster)}
    return [process for process in psutil.process_iter(["name", "cwd"]) if process.info == at_work_there]


def end_processes_of(cluster: Path) -> bool:
    """End whatever runs in a cluster, in order if that can be, and say whether nothing is left.

    A postmaster is asked to disconnect everybody and to write a checkpoint. What is still there after that has
    lost its postmaster, or hangs with it; it is killed, and the next start recovers.
    """
    if _gone(cluster, STOP_TIMEOUT_S if _ask_to_stop(cluster) else ORPHANS_TIMEOUT_S):
        return True
    for process in processes_of(cluster):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return _gone(cluster, KILL_TIMEOUT_S)


def _ask_to_stop(cluster: Path) -> bool:
    """Signal the postmaster alone, if it is there: to its children the same signal means something else."""
    named = _named_by_pid_file(cluster)
    postmasters = [process for process in processes_of(cluster) if process.pid == named]
    for process in postmasters:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    return bool(postmasters)


def _named_by_pid_file(cluster: Path) -> int | None:
    try:
        return int((cluster / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _gone(cluster: Path, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while processes_of(cluster):
        if time.monotonic() > deadline:
            return False
        # They are no children of ours, so that there is nothing to wait for.
        time.sleep(LOOK_INTERVAL_S)
    return True
