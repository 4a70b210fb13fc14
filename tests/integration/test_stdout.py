"""The stdout of programs: with a release of Ray that is to come, on a full disk, and when nobody reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from actors.runtime.ray_actors.cluster import keep_stdout_for_data
from gateway.access.local_key import LocalKey


@pytest.mark.parametrize("missing", ["worker.global_worker", "worker"])
def test_release_of_ray_that_prints_in_another_way_is_no_obstacle(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(f"ray._private.{missing}")

    keep_stdout_for_data()


@pytest.mark.parametrize("command", [["token", "--subject", "bob", "--scope", "queries:read"], ["doctor"], ["--help"]])
def test_full_disk_behind_stdout_is_told_in_one_sentence(command: Sequence[str], tmp_path: Path) -> None:
    LocalKey.make_or_load(tmp_path)
    with Path("/dev/full").open("w") as full:
        ended = _rayleans(command, tmp_path, full)

    said, tried = ended.stderr.splitlines()
    assert (ended.returncode, said) == (1, "rayleans: cannot write: No space left on device")
    assert tried == "try: the same again with stdout where there is room"


def test_reader_who_has_left_hears_nothing(tmp_path: Path) -> None:
    LocalKey.make_or_load(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        ended = _rayleans(["token", "--subject", "bob", "--scope", "queries:read"], tmp_path, closed)

    assert ended.stderr == ""


def _rayleans(command: Sequence[str], data: Path, stdout: IO[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *command],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RAYLEANS_DATA": str(data)},
        check=False,
    )
