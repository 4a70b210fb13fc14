from __future__ import annotations

from pathlib import Path

from tests.acceptance import serving
from tests.acceptance.serving import Served

LIST_ACTORS = """
from actors.runtime.ray_actors import join_ray, ray

join_ray(None)
print(*sorted(actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)))
"""


def test_service_in_a_cluster_of_somebody_else_is_the_only_one(served_elsewhere: Served, tmp_path: Path) -> None:
    """That it leaves nothing there is seen at the end of `served_elsewhere`."""
    second = serving.run("serve", "--address", served_elsewhere.ray_address, "--data", str(tmp_path / "two"))

    assert second.returncode == 1
    assert "another process runs a service in this Ray cluster" in second.stderr


def test_service_in_a_cluster_of_somebody_else_has_the_actors_that_it_was_told(served_elsewhere: Served) -> None:
    names = served_elsewhere.run_python(LIST_ACTORS).stdout.split()

    projections = ["projection/customer_orders", "projection/customers", "projection/orders", "projection/sales"]
    running = ["gateway/0", "gateway/1", *projections, "service", "silo/0", "silo/1"]
    assert [name for name in names if not name.startswith("customer/")] == running
