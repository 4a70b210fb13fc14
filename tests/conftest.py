"""A PostgreSQL for all tests that need one: started once, with empty databases for each test.

With RAYLEANS_EVENTS_URL in the environment the tests use that server instead; its user must be allowed to create
databases.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

from actors.store.embedded import EmbeddedPostgres
from tests.acceptance import serving
from tests.acceptance.ray_cluster import ray_cluster
from tests.databases import Databases

# How long an example takes, or to make one, says how busy the machine is.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Temporary directories of this run alone.

    Each run of pytest closes its parent directory to other users, also that of a run beside it, where a PostgreSQL
    may be working as another user than root.
    """
    folder = tempfile.TemporaryDirectory(prefix="rayleans-tests-", ignore_cleanup_errors=True)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = folder.name
    config.add_cleanup(folder.cleanup)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of a PostgreSQL server in which databases can be made."""
    given = os.environ.get("RAYLEANS_EVENTS_URL")
    if given is not None:
        yield given
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("server"))
    server.start()
    yield server.url("events")
    server.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    """The standard service with nothing but a directory, as a process, for all tests of the run."""
    service = serving.start(tmp_path_factory.mktemp("service") / "data")
    service.wait_until_ready()
    yield service
    if service.process.poll() is None:
        assert service.stop() == 0


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """Databases of that server."""
    databases = Databases(server_url)
    yield databases
    databases.drop()


@pytest.fixture(scope="session")
def served_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    """A service in the Ray cluster of somebody else: two silos, two gateways, each customer with a Ray actor."""
    folder = tmp_path_factory.mktemp("elsewhere")
    plan = ("--silos", "2", "--gateways", "2", "--placement", "own")
    with ray_cluster(folder) as (address, process):
        service = serving.start(folder / "data", "--address", address, *plan)
        service.cluster = process
        service.wait_until_ready()
        yield service
        assert service.stop() == 0
        kinds = ("Silo", "Own", "Projection", "Gateway")
        gone = [psutil.wait_procs(service.actors(kind), timeout=10) for kind in kinds]
        assert not any(alive for _, alive in gone), "it leaves nothing there"


@pytest.fixture
def new_database(databases: Databases) -> Iterator[Callable[[], str]]:
    """Gives empty databases, for this test alone."""
    with databases.lent() as take:
        yield take


@pytest.fixture
def events_url(new_database: Callable[[], str]) -> str:
    """An empty database for a log."""
    return new_database()


@pytest.fixture
def views_url(new_database: Callable[[], str]) -> str:
    """An empty database for views."""
    return new_database()
