"""How a session comes to own partitions. Ray can run two copies of a silo; this is what keeps them apart.

Who may put a holder out is told by the generation of his service: none that is newer may have been begun. It is asked
before anybody is put out, and once more behind the epochs.

Three fences, each for what the others cannot do. A session lock on the write connection: whoever takes over
ends the connection of a holder that is paused in the middle of a write and would block the next one. The epoch,
raised here and checked by every append: a former owner writes nothing, also when nobody has written since. The
primary key: the last line. The order matters: lock, then epoch, then heads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import asyncpg

from actors.store.driver import SERVER
from actors.store.event_store import Deposed, Mark, StoreUnavailable, Superseded, next_epoch_step
from actors.store.sql_files import load_queries
from actors.store.write_session import PostgresWriteSession

CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 8.0
PUT_OUT_TIMEOUT_MS = 2_000
PUT_OUT_ATTEMPTS = 3

# Advisory locks of all programs in a database share one space; this class is ours. They are not seen elsewhere.
LOCK_CLASS = 0x5241594C

SESSION_SETTINGS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S:.0f}s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5s",
}

_SQL = load_queries("actors.store", "events.sql", "ownership.sql")


async def take_over(
    url: str, silo: str, partitions: Collection[int], generation: int, broken: PostgresWriteSession | None
) -> PostgresWriteSession:
    """A session that owns `partitions`; see `EventStore.take_over`. Errors of the driver pass through.

    Args:
        broken: session of the same silo whose connection was lost. When given, nobody is put out but that
            very session, and the partitions are taken only if they are still at its epochs.
    """
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_S + 1,
        target_session_attrs=SERVER,
        server_settings={**SESSION_SETTINGS, "application_name": f"rayleans {silo}"},
    )
    try:
        if broken is not None:
            await _refuse_deposed(connection, broken.epochs)
        await refuse_older(connection, generation)
        put_out = await _lock(connection, partitions, None if broken is None else broken.backend_pid)
        # All or nothing: epochs that were raised by an attempt that failed would depose their own silo.
        async with connection.transaction():
            epochs = await _raise_epochs(connection, silo, partitions, broken)
            # A service begun later than this raises them later, and one begun before is seen here.
            await refuse_older(connection, generation)
            rows = await connection.fetch(_SQL["heads"])
        heads = {row["partition"]: Mark(row["position"], row["epoch"]) for row in rows}
    except BaseException:
        connection.terminate()
        raise
    owned_heads = {partition: heads[partition] for partition in epochs}
    return PostgresWriteSession(connection, epochs, owned_heads, put_out=put_out and broken is None)


async def refuse_older(connection: asyncpg.Connection | asyncpg.Pool, generation: int) -> None:
    """See `EventStore.refuse_older`. Errors of the driver pass through."""
    newer = await connection.fetchrow(_SQL["newer_service"], generation)
    if newer is not None:
        raise Superseded(*newer)


async def _lock(connection: asyncpg.Connection, partitions: Collection[int], only: int | None) -> bool:
    """Hold the locks of all partitions; whether somebody was put out for that."""
    missing, put_out = list(partitions), False
    for _ in range(PUT_OUT_ATTEMPTS):
        missing = [
            partition
            for partition in missing
            if not await connection.fetchval(_SQL["lock_partition"], LOCK_CLASS, partition)
        ]
        if not missing:
            return put_out
        for holder in {await connection.fetchval(_SQL["lock_holder"], LOCK_CLASS, each) for each in missing}:
            if holder is not None and only in (None, holder):
                put_out |= await connection.fetchval(_SQL["put_out"], holder, PUT_OUT_TIMEOUT_MS)
    raise StoreUnavailable(f"another session holds the lock of partition {missing[0]} and could not be put out")


async def _raise_epochs(
    connection: asyncpg.Connection, silo: str, partitions: Collection[int], broken: PostgresWriteSession | None
) -> Mapping[int, int]:
    if broken is None:
        rows = await connection.fetch(_SQL["raise_epochs"], list(partitions), silo, next_epoch_step())
    else:
        held = (list(broken.epochs.keys()), list(broken.epochs.values()))
        rows = await connection.fetch(_SQL["reclaim_epochs"], *held, silo, next_epoch_step())
        if len(rows) != len(broken.epochs):
            raise Deposed("another session had a partition meanwhile")
    return {row["partition"]: row["epoch"] for row in rows}


async def _refuse_deposed(connection: asyncpg.Connection, epochs: Mapping[int, int]) -> None:
    """Ask before waiting for a lock: whoever is deposed must end now, not when the new owner lets go."""
    held = (list(epochs.keys()), list(epochs.values()))
    if await connection.fetchval(_SQL["prove"], *held) != len(epochs):
        raise Deposed("another session had a partition meanwhile")
