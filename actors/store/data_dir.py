"""The directory in which one service keeps everything that is its own, and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


class DataDir:
    """A data directory that is held by this process: `with DataDir(path) as data`.

    The lock belongs to the open file, so it goes with the process, however that ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        """Make the directory if need be, and hold it.

        Raises:
            DataDirError: another process holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("a+")
            self._hold(self._lock)
        except OSError as exc:
            self._let_go()
            raise DataDirError(f"cannot write in the data directory {self.path}: {exc.strerror}") from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def _hold(self, lock: IO[str]) -> None:
        """Lock it, and write into it who holds it."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            self._let_go()
            raise DataDirError(
                f"the data directory {self.path} is in use by process {holder}; stop that service, or give this "
                "one another directory with --data"
            ) from exc
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
