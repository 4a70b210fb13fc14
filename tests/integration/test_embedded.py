"""The embedded server after every way to die, and who gets in."""

from __future__ import annotations

import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from actors.store.embedded import EmbeddedError, EmbeddedPostgres
from actors.store.postmaster import processes_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory for all tests here, because making a new cluster takes long."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stranger(server: EmbeddedPostgres, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user as the server, which has nothing to do with it."""
    user = (data / "postgres" / "cluster").stat().st_uid
    with subprocess.Popen(["/bin/sleep", "60"], user=user) as process:
        yield process
        process.kill()


def everything(processes: list[psutil.Process], postmaster: int) -> list[psutil.Process]:
    return processes


def postmaster_alone(processes: list[psutil.Process], postmaster: int) -> list[psutil.Process]:
    return [process for process in processes if process.pid == postmaster]


@pytest.mark.parametrize("victims", [everything, postmaster_alone])
async def test_server_that_was_killed_comes_back_with_what_was_committed(
    server: EmbeddedPostgres, data: Path, victims: Callable[[list[psutil.Process], int], list[psutil.Process]]
) -> None:
    await _execute(server, "CREATE TABLE IF NOT EXISTS kept (what text); INSERT INTO kept VALUES ('this')")
    for victim in victims(processes_of(data / "postgres" / "cluster"), _postmaster(data)):
        with suppress(psutil.NoSuchProcess):
            victim.kill()

    server.start()

    assert "this" in await _column(server, "SELECT what FROM kept")


async def test_child_that_hangs_after_the_death_of_its_postmaster_is_ended(
    server: EmbeddedPostgres, data: Path
) -> None:
    postmaster = _postmaster(data)
    (_, child, *_) = processes_of(data / "postgres" / "cluster")
    child.suspend()
    psutil.Process(postmaster).kill()

    server.start()

    assert child not in processes_of(data / "postgres" / "cluster")
    assert await _column(server, "SELECT 'here'") == ["here"]


async def test_server_that_an_earlier_service_left_behind_is_replaced(server: EmbeddedPostgres, data: Path) -> None:
    earlier = _postmaster(data)

    EmbeddedPostgres(data).start()

    assert _postmaster(data) != earlier
    assert await _column(server, "SELECT 'here'") == ["here"]


async def test_pid_that_belongs_to_another_process_by_now_is_no_hindrance(
    server: EmbeddedPostgres, data: Path, stranger: subprocess.Popen[bytes]
) -> None:
    cluster = data / "postgres" / "cluster"
    server.stop()
    for name in (cluster / "postmaster.pid", data / "postgres" / ".s.PGSQL.5432.lock"):
        name.write_text(f"{stranger.pid}\n{cluster}\n1\n5432\n{data}\n\n")

    server.start()

    assert await _column(server, "SELECT 'here'") == ["here"]
    assert stranger.poll() is None


def test_only_the_user_of_the_server_may_open_its_socket(server: EmbeddedPostgres, data: Path) -> None:
    home = data / "postgres"

    assert stat.S_IMODE((home / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert home.stat().st_uid == (home / "cluster").stat().st_uid


@pytest.mark.parametrize("name", ["it's c++ & $x,", "long" * 30])
async def test_directory_of_any_name_works(tmp_path: Path, name: str) -> None:
    server = EmbeddedPostgres(_with(tmp_path / name))
    server.start()
    try:
        assert await _column(server, "SELECT 'here'") == ["here"]
    finally:
        server.stop()


def test_folder_that_somebody_else_made_for_the_socket_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = EmbeddedPostgres(_with(tmp_path / "a path, that is no good in an address"))
    folder = Path(server.url("events").partition("host=")[2].partition("&")[0])
    folder.symlink_to(_with(tmp_path / "trap"))

    with pytest.raises(EmbeddedError, match=f"{folder} belongs to another user"):
        server.start()


def test_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    (_with(tmp_path / "postgres" / "cluster") / "PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 15, and this release brings 18; .* pg_dump"):
        EmbeddedPostgres(tmp_path).start()


def test_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(EmbeddedError, match="Not a directory"):
        EmbeddedPostgres(tmp_path / "data").start()


def test_server_that_does_not_start_says_why(data: Path, server: EmbeddedPostgres) -> None:
    server.stop()
    control = data / "postgres" / "cluster" / "global" / "pg_control"
    hidden = control.rename(control.with_suffix(".hidden"))
    try:
        with pytest.raises(EmbeddedError, match="could not find the database system"):
            server.start()
    finally:
        hidden.rename(control)


def test_server_that_does_not_run_can_be_stopped(server: EmbeddedPostgres, data: Path) -> None:
    server.stop()

    server.stop()

    assert processes_of(data / "postgres" / "cluster") == []


def _with(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _postmaster(data: Path) -> int:
    return int((data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


async def _execute(server: EmbeddedPostgres, statements: str) -> None:
    connection = await asyncpg.connect(server.url("events"))
    await connection.execute(statements)
    await connection.close()


async def _column(server: EmbeddedPostgres, query: str) -> list[str]:
    connection = await asyncpg.connect(server.url("events"))
    rows = await connection.fetch(query)
    await connection.close()
    return [row[0] for row in rows]
