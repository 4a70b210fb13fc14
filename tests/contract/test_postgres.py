from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.store.postgres import PostgresEventStore
from tests.contract.event_store_contract import PARTITIONS, EventStoreContract


class TestPostgresEventStore(EventStoreContract):
    @pytest.fixture
    async def store(self, events_url: str) -> AsyncIterator[PostgresEventStore]:
        store = await PostgresEventStore.open(events_url, partitions=PARTITIONS)
        yield store
        await store.close()
