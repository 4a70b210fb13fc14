from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import cycle, repeat
from pathlib import Path

import pytest

from gateway.bench.bare_server import bare_server
from gateway.bench.http_load import closed_requests, open_requests
from projections.standard import STANDARD
from tests.integration.service import Service, running_service

GOOD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BAD = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


async def test_loads_count_good_answers_and_tell_of_the_others(service: Service) -> None:
    url = str(service.http.base_url)

    closed, tally = await closed_requests(url, cycle([GOOD, BAD]), 4, 0.3)
    by_the_clock, _ = await open_requests(url, repeat(GOOD), 4, 0.5, 100)

    assert closed.done == len(tally.durations) > 0
    assert abs(tally.others[404] - closed.done) <= 4
    assert by_the_clock.done == 50
    assert by_the_clock.elapsed_s >= 0.49
    with pytest.raises(RuntimeError, match="404"):
        await closed_requests(url, repeat(BAD), 1, 0.05)


async def test_bare_server_answers_everything() -> None:
    async with bare_server() as url:
        load, tally = await closed_requests(url, repeat(GOOD), 2, 0.1)

    assert load.done > 0
    assert not tally.others
