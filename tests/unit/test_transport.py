from __future__ import annotations

import pytest
from ray.exceptions import AuthenticationError, RayError

from actors.runtime.lane import NotSent
from actors.runtime.ray_actors import ray
from actors.runtime.ray_actors.transport import RayTransport


@pytest.mark.parametrize("error", [ValueError("no such name"), AuthenticationError("WrongClusterID"), RayError("?")])
async def test_silo_that_cannot_be_found_was_sent_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """After a restart of its GCS, Ray refuses to look anything up."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ray, "get_actor", refuse)

    with pytest.raises(NotSent):
        await RayTransport().execute(0, b"")
