"""Row F5 of the fault matrix: the whole service is told to stop while commands are on their way, and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.acceptance import serving
from tests.acceptance.serving import Served
from tests.faults.customers import check_log_and_views, customers_of

STOPS_WITHIN_S = 20.0


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that the test may stop."""
    service = serving.start(tmp_path_factory.mktemp("own") / "data")
    service.wait_until_ready()
    yield service
    if service.process.poll() is None:
        service.end()


async def test_f5_service_stopped_under_load_leaves_nothing_unknown(own: Served) -> None:
    async with customers_of(own) as customers:
        history = customers.history
        async with customers.load():
            await history.more(200)
            with history.fault("stop"):
                async with asyncio.timeout(STOPS_WITHIN_S):
                    assert await asyncio.to_thread(own.stop) == 0
        unknown = [each.outcome for each in history.operations if each.unknown]
        await asyncio.to_thread(own.start_again)
        await asyncio.to_thread(own.wait_until_ready)
        async with customers.load():
            await history.more(200)
        assert customers.sent_away
        await asyncio.to_thread(check_log_and_views, own)
    assert not unknown
