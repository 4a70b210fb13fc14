"""Of the services on one log the newest has it. Older ones end by themselves: nobody is put out again and again."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from actors.store.event_store import EventStore, StoreUnavailable, StoreUnsuitable

LOOK_INTERVAL_S = 1.0
LONGEST_PAUSE_S = 1.0


@asynccontextmanager
async def newest_service(
    open_log: Callable[[], Awaitable[EventStore]], say: Callable[[str], None]
) -> AsyncIterator[int]:
    """Begin a service on a log, and be the newest one until the block ends; gives its generation.

    Args:
        open_log: connects; called again until it succeeds.
        say: told what keeps it from that, for people.

    Raises:
        Superseded: a newer one was begun, for which the block was cancelled.
    """
    insist = _insisting(say)
    log: EventStore = await insist(open_log)
    try:
        who = f"process {os.getpid()} on {socket.gethostname()}"
        generation: int = await insist(log.begin_service, who)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(log, generation))
            yield generation
            watch.cancel()
    except ExceptionGroup as group_of_one:
        raise group_of_one.exceptions[0] from None
    finally:
        await log.close()


async def _watch(log: EventStore, generation: int) -> NoReturn:
    while True:
        await asyncio.sleep(LOOK_INTERVAL_S)
        # Nobody can begin a service either while the log is away.
        with suppress(StoreUnavailable):
            await log.refuse_older(generation)


def _insisting(say: Callable[[str], None]) -> AsyncRetrying:
    said: set[str] = set()

    def tell(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        reason = f"not ready: {failure}"
        if reason not in said:
            say(reason)
        said.add(reason)

    return AsyncRetrying(
        retry=retry_if_exception_type((StoreUnavailable, StoreUnsuitable)),
        wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_S),
        before_sleep=tell,
    )
