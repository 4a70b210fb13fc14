from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.store.postgres import PostgresEventStore
from actors.store.postgres_scan import scan_log
from tests.contract.event_store_contract import PARTITIONS, EventStoreContract, Scan


class TestPostgresEventStore(EventStoreContract):
    @pytest.fixture
    async def store(self, events_url: str) -> AsyncIterator[PostgresEventStore]:
        store = await PostgresEventStore.open(events_url, partitions=PARTITIONS)
        yield store
        await store.close()

    @pytest.fixture
    def scan(self, events_url: str) -> Scan:
        return lambda: scan_log(events_url)
