"""When the work of an actor's process ends by itself, the process ends too.

An actor that lives on without its work would answer probes and do nothing. Ray starts an ended one anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

log = logging.getLogger(__name__)


def end_process_with(work: asyncio.Task[None]) -> None:
    """A done callback: ends this process at once, unless the work was cancelled."""
    if work.cancelled():
        return
    log.critical("the work of this process has ended, and so does the process", exc_info=work.exception())
    sys.stderr.flush()
    os._exit(1)
