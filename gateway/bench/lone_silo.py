"""A silo in this process, without Ray: to measure what it does by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

from actors.domain.customer import CUSTOMER, Reactivate
from actors.runtime.command_id import new_command_id
from actors.runtime.silo import Silo, SiloLimits
from actors.runtime.wire import CommandEnvelope, Done, decode_outcomes, encode
from actors.store.postgres import PostgresEventStore

PARTITIONS = 16
PATIENCE_S = 60.0
LOOK_INTERVAL_S = 0.01


@asynccontextmanager
async def lone_silo(events_url: str, limits: SiloLimits) -> AsyncIterator[Silo]:
    """A silo that owns the whole log until the block ends."""
    open_store = partial(PostgresEventStore.open, events_url, partitions=PARTITIONS)
    silo = Silo(0, 1, [CUSTOMER], open_store, 0, limits=limits)
    work = asyncio.get_running_loop().create_task(silo.run())
    while silo.status.trouble is not None and not work.done():
        await asyncio.wait([work], timeout=LOOK_INTERVAL_S)
    try:
        yield silo
    finally:
        await silo.drain()
        work.cancel()
        await asyncio.wait([work])


async def rouse(silo: Silo, keys: Iterable[str]) -> None:
    """Send customers a command that is already true, all in one call: it wakes them and writes nothing.

    Raises:
        RuntimeError: one of them could not do it.
    """
    blob = encode([_already_true(key) for key in keys])
    for outcome in decode_outcomes(await silo.execute(blob)):
        if not isinstance(outcome, Done):
            raise RuntimeError(f"a customer did not wake: {outcome}")


def _already_true(key: str) -> CommandEnvelope:
    return CommandEnvelope(
        category=CUSTOMER.category,
        key=key,
        command=CUSTOMER.name_of(Reactivate()),
        data="{}",
        command_id=new_command_id(),
        expected_version=None,
        deadline=time.time() + PATIENCE_S,
        by="bench",
        request_id="",
    )
