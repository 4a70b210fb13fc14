"""What all processes of the service have in common, whatever actor is in them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.5


class Pulse:
    """Tells that the work of this process goes on. It begins at rest.

    Args:
        now: seconds, by a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: float | None = None

    def beat(self) -> None:
        """It goes on."""
        self._last = self._now()

    def rest(self) -> None:
        """There is no work for now."""
        self._last = None

    @property
    def silent_s(self) -> float:
        """How long nothing was heard of it; 0 at rest."""
        last = self._last
        return 0.0 if last is None else self._now() - last


# Python's own 700 makes the collector look at every command several times.
COLLECT_EVERY = 50_000


def collect_garbage_rarely() -> None:
    """Look for cycles less often. Nearly everything here is freed by counting references.

    What was imported stays for ever and is not looked at again.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 20)


def end_process_with(work: asyncio.Task[None]) -> None:
    """A done callback: ends this process at once, unless the work was cancelled.

    An actor that lives on without its work would answer probes and do nothing. Ray starts an ended one anew.
    """
    if work.cancelled():
        return
    log.critical("the work of this process has ended, and so does the process", exc_info=work.exception())
    sys.stderr.flush()
    os._exit(1)


def end_process_without(pulse: Pulse, silent_s: float) -> None:
    """End this process at once when its work stands still for so long.

    A thread of its own watches, so that it also sees an event loop that is stuck, and a process that was paused.
    """

    def watch() -> None:
        while pulse.silent_s < silent_s:
            time.sleep(LOOK_INTERVAL_S)
        log.critical("the work of this process stands still, and the process ends", extra={"silent_s": pulse.silent_s})
        sys.stderr.flush()
        os._exit(1)

    threading.Thread(target=watch, name="watch over the pulse", daemon=True).start()
