from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from projections.views import ViewReader
from tests.account_domain import ACCOUNTS
from tests.integration.running_views import Log, Running


@pytest.fixture
def log() -> Log:
    """A log of accounts."""
    return Log()


@pytest.fixture
def running(log: Log, views_url: str) -> Running:
    """Starts runners on that log, which work until their block ends."""
    return Running(log, views_url)


@pytest.fixture
async def reader(views_url: str) -> AsyncIterator[ViewReader]:
    """Reads what they made of it."""
    reader = ViewReader(views_url, [ACCOUNTS])
    yield reader
    await reader.close()
