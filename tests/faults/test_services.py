"""Two services on one log, as in a rolling update or a second terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.runtime.silo import Silo
from actors.runtime.wire import Done, NotNow, Outcome, Refused, decode_outcomes, encode
from actors.store.event_store import EventStore
from actors.store.postgres import PostgresEventStore
from tests.account import ACCOUNT
from tests.faults.bank import PARTITIONS, Machine
from tests.in_process import command


@asynccontextmanager
async def service(url: str, name: str) -> AsyncIterator[Machine]:
    """The machine of the one silo of a service that was just begun."""
    store = await PostgresEventStore.open(url, partitions=PARTITIONS)
    generation = await store.begin_service(name)

    async def open_store() -> EventStore:
        return store

    machine = Machine(lambda: Silo(0, 1, [ACCOUNT], open_store, generation))
    await machine.owning()
    yield machine
    await machine.kill()
    await store.close()


async def deposit(machine: Machine) -> Outcome:
    return decode_outcomes(await machine.execute(encode([command("deposit", '{"amount": 1}')])))[0]


async def until_it_stands_aside(machine: Machine) -> None:
    while (trouble := machine.silo.status.trouble) and "newer service" not in trouble:
        assert machine.alive
        await asyncio.wait([machine._work], timeout=0.001)
    assert trouble


async def test_silo_of_an_older_service_that_is_started_anew_leaves_the_newer_one_alone(events_url: str) -> None:
    async with service(events_url, "the older one") as older, service(events_url, "the newer one") as newer:
        opened = command("open", '{"owner": "Ada"}')
        assert isinstance(decode_outcomes(await newer.execute(encode([opened])))[0], Done)
        epochs = newer.silo.status.epochs

        for _ in range(3):
            await older.restart()
            await until_it_stands_aside(older)

            refused = await deposit(older)
            assert isinstance(refused, NotNow)
            assert refused.reason.startswith("silo/0 cannot write: a newer service took the log over at ")
            assert refused.reason.endswith(" UTC: the newer one")
            assert isinstance(await deposit(newer), Done)

        assert older.alive
        assert older.silo.status.epochs == {}
        assert newer.silo.status.epochs == epochs


async def test_silo_of_an_older_service_that_stands_aside_can_be_drained(events_url: str) -> None:
    async with service(events_url, "the older one") as older, service(events_url, "the newer one") as newer:
        await older.restart()
        await until_it_stands_aside(older)

        await older.silo.drain()

        assert isinstance(await deposit(newer), Refused)


async def test_silo_of_the_newest_service_that_is_started_anew_works(events_url: str) -> None:
    async with service(events_url, "the older one"), service(events_url, "the newer one") as newer:
        for _ in range(2):
            await newer.restart()
            await newer.owning()
            assert newer.alive
            assert not newer.silo.status.trouble
