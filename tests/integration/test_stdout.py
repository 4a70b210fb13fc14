"""The stdout of programs that are connected to a cluster, in releases of Ray that are to come."""

from __future__ import annotations

import pytest

from actors.runtime.ray_actors.cluster import keep_stdout_for_data


@pytest.mark.parametrize("missing", ["worker.global_worker", "worker"])
def test_release_of_ray_that_prints_in_another_way_is_no_obstacle(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(f"ray._private.{missing}")

    keep_stdout_for_data()
