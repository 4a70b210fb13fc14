from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import serving

LIST_ACTORS = """
from actors.runtime.ray_actors import join_ray, ray
join_ray(None)
print(sorted(actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a Ray cluster that is not the service's own."""
    address = f"127.0.0.1:{serving.free_port()}"
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "start", "--head", "--block", "--port", address.rpartition(":")[2], "--num-cpus", "2"]
    quiet = ["--include-dashboard=false", "--object-store-memory", "100000000"]
    with (tmp_path / "ray.log").open("w") as log:
        process = subprocess.Popen([*command, *quiet], stdout=log, stderr=log, start_new_session=True)
    yield address
    process.terminate()
    process.wait()


def test_service_in_a_cluster_of_somebody_else_is_the_only_one_and_leaves_nothing(cluster: str, tmp_path: Path) -> None:
    while _actors(cluster) is None:
        pass
    plan = ("--silos", "2", "--gateways", "2", "--placement", "own")
    served = serving.start(tmp_path / "one", "--address", cluster, *plan)
    served.wait_until_ready()
    running = ["gateway/0", "gateway/1", "projection/customer_orders", "projection/customers", "projection/orders"]
    assert _actors(cluster) == str([*running, "projection/sales", "service", "silo/0", "silo/1"])

    second = serving.run("serve", "--address", cluster, "--data", str(tmp_path / "two"))
    assert second.returncode == 1
    assert "another process runs a service in this Ray cluster" in second.stderr

    alice = {"name": "Alice", "email": "alice@example.com"}
    assert served.http.post("/v1/customers/alice/register", json=alice).status_code == 200
    assert "customer/alice" in (_actors(cluster) or "")
    assert served.stop() == 0
    assert _actors(cluster) == "[]"


def _actors(address: str) -> str | None:
    env = os.environ | {"RAY_ADDRESS": address}
    done = subprocess.run([sys.executable, "-c", LIST_ACTORS], capture_output=True, text=True, env=env, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
