from __future__ import annotations

from contextlib import nullcontext

import pytest

from actors.store.event_store import Deposed
from actors.store.memory import MemoryEventStore
from tests.contract.event_store_contract import PARTITIONS, EventStoreContract, Scan, new, own_all, whole_log


class TestMemoryEventStore(EventStoreContract):
    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore(partitions=PARTITIONS)

    @pytest.fixture
    def scan(self, store: MemoryEventStore) -> Scan:
        return lambda: nullcontext(store.scan())

    async def test_former_owner_writes_and_proves_nothing(self, store: MemoryEventStore) -> None:
        former = await own_all(store)
        await store.take_over("silo/9", [2], 0)

        with pytest.raises(Deposed):
            await former.append([new()])
        with pytest.raises(Deposed):
            await former.prove()

        assert await whole_log(store) == []
