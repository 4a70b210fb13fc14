from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.store.data_dir import DataDir, DataDirError


def test_directory_that_is_held_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    with DataDir(tmp_path), pytest.raises(DataDirError, match=f"{tmp_path} is in use by process {os.getpid()};"):
        DataDir(tmp_path).__enter__()


def test_directory_can_be_held_again_after_its_holder_has_gone(tmp_path: Path) -> None:
    with DataDir(tmp_path / "data"):
        pass

    with DataDir(tmp_path / "data") as data:
        assert data.path == tmp_path / "data"


def test_directory_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirError, match=r"file/data: Not a directory"):
        DataDir(tmp_path / "file" / "data").__enter__()


def test_directory_without_room_for_the_lock_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("/dev/full")

    with pytest.raises(DataDirError, match="cannot write in the data directory"):
        DataDir(tmp_path).__enter__()
