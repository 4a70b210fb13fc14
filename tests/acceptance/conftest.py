from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance import serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    """The standard service with nothing but a directory, for all tests of the run."""
    service = serving.start(tmp_path_factory.mktemp("service") / "data")
    service.wait_until_ready()
    yield service
    if service.process.poll() is None:
        assert service.stop() == 0
