from __future__ import annotations

import asyncio

import pytest

from actors.store.event_store import EventStore, StoreUnavailable, Superseded
from actors.store.memory import MemoryEventStore
from gateway.succession import newest_service


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.succession.LOOK_INTERVAL_S", 0.001)


class Away:
    """A log that is away for a number of times."""

    def __init__(self, store: EventStore, times: int) -> None:
        self._store, self._times = store, times

    async def open(self) -> EventStore:
        if self._times:
            self._times -= 1
            raise StoreUnavailable("the log is away")
        return self._store


async def test_service_ends_when_a_newer_one_is_begun() -> None:
    store, begun = MemoryEventStore(), asyncio.Event()

    async def serve() -> None:
        async with newest_service(Away(store, 0).open, print) as generation:
            await store.refuse_older(generation)
            begun.set()
            await asyncio.Event().wait()

    service = asyncio.create_task(serve())
    await begun.wait()
    await store.begin_service("the newer one")

    with pytest.raises(Superseded, match="the newer one"):
        await service


async def test_newest_service_ends_as_its_block_does() -> None:
    store = MemoryEventStore()
    async with newest_service(Away(store, 0).open, print) as older:
        pass
    with pytest.raises(ZeroDivisionError):
        async with newest_service(Away(store, 0).open, print):
            raise ZeroDivisionError

    with pytest.raises(Superseded, match=r"process \d+ on "):
        await store.refuse_older(older)


async def test_service_waits_for_the_log_and_says_so_once() -> None:
    said: list[str] = []

    async with newest_service(Away(MemoryEventStore(), 2).open, said.append):
        assert said == ["not ready: the log is away"]
