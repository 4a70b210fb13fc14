from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from projections.standard import STANDARD
from projections.view_reader import ViewReader
from tests.account_domain import ACCOUNTS
from tests.databases import Databases
from tests.integration.running_views import Log, Running
from tests.integration.service import Service, running_service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One for all tests of a file, because it takes long to start: each test uses a `key` of its own."""
    with databases.lent() as new_database:
        async with running_service(STANDARD, new_database(), tmp_path_factory.mktemp("service")) as service:
            yield service


@pytest_asyncio.fixture(loop_scope="module")
async def alone(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service for one test, which counts everything in it or breaks something."""
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


@pytest.fixture
def key() -> str:
    """The key of an actor that nobody else uses."""
    return uuid4().hex


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
