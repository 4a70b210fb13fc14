"""What all processes of the service have in common, whatever actor is in them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys

log = logging.getLogger(__name__)

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
