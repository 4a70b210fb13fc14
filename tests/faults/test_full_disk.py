"""The disk of the log is full. These tests mount small file systems, for which they must be run by root."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from actors.errors import Unavailable
from actors.store.driver import DRIVER_ERRORS
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import PostgresEventStore
from tests.faults.bank import PARTITIONS, Bank, any_command, postgres_bank
from tests.faults.checker import check_recovery
from tests.faults.history import callers

pytestmark = pytest.mark.long

SIZE = "64m"
REFUSED = 50
PATIENCE_S = 2.0


@contextmanager
def small_disk(place: Path, owner: int) -> Iterator[None]:
    """A file system of `SIZE` bytes at a place."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700,uid={owner}", "tmpfs", place], check=True)  # noqa: S607
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # noqa: S607


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Nothing more goes onto the disk until the block ends."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of its own."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    yield server
    server.stop()


def owner_of(server: EmbeddedPostgres) -> int:
    return os.stat(server._cluster).st_uid


async def test_f18_data_disk_full_and_emptied_again(server: EmbeddedPostgres, tmp_path: Path) -> None:
    """Of the log only: the WAL is elsewhere, so PostgreSQL goes on and can be read."""
    disk = tmp_path / "small"
    with small_disk(disk, owner_of(server)):
        url = await _database_on(server, disk)
        reader = await PostgresEventStore.open(url, partitions=PARTITIONS)
        async with postgres_bank(url) as bank, impatient_load(bank):
            await bank.history.more(300)
            with full(disk), bank.history.fault("data disk full") as fault:
                # A few rows fit into the pages that there are; what was acknowledged is held against the log below.
                await bank.history.more_of(Unavailable, 2 * REFUSED)
                assert await reader.read_stream("account-a0")
            await bank.history.more(300)
        assert not check_recovery(bank.history, fault, within_s=5, overlapping=REFUSED)
        assert bank.machines[0].kills == 0
        await reader.close()
        server.stop()


async def test_f19_wal_disk_full_until_somebody_starts_postgres_again(server: EmbeddedPostgres, tmp_path: Path) -> None:
    """PostgreSQL panics and does not come back by itself."""
    disk, wal = tmp_path / "small", server._cluster / "pg_wal"
    server.stop()
    with small_disk(disk, owner_of(server)):
        shutil.copytree(wal, disk / "wal")
        for each in (disk / "wal", *(disk / "wal").rglob("*")):
            os.chown(each, owner_of(server), -1)
        shutil.rmtree(wal)
        wal.symlink_to(disk / "wal")
        server.start()
        async with postgres_bank(server.url("events")) as bank, impatient_load(bank):
            await bank.history.more(300)
            with bank.history.fault("WAL disk full") as fault:
                with full(disk):
                    await _use_up_wal(server.url("events"))
                    await bank.history.more_of(Unavailable, REFUSED)
                await asyncio.to_thread(server.start)
            await bank.history.more(300)
        assert not check_recovery(bank.history, fault, within_s=20, overlapping=REFUSED)
        server.stop()


async def _database_on(server: EmbeddedPostgres, disk: Path) -> str:
    connection = await asyncpg.connect(server.url("postgres"))
    await connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
    await connection.execute("CREATE DATABASE small TABLESPACE small")
    await connection.close()
    return server.url("small")


@asynccontextmanager
async def impatient_load(bank: Bank) -> AsyncIterator[None]:
    """Callers who do not wait for long."""
    chance = random.Random(0)  # noqa: S311 - no secret

    async def call(caller: int) -> None:
        await bank.history.send(bank.submit, any_command(chance, f"a{caller % 20}", PATIENCE_S))

    async with callers(call, 30):
        yield


async def _use_up_wal(url: str) -> None:
    """There is always a piece of it in reserve."""
    with suppress(*DRIVER_ERRORS):
        connection = await asyncpg.connect(url)
        while True:
            await connection.execute("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x')")
