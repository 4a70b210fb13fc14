"""Customers with a Ray actor of their own, in the service as users run it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any

import psutil
import pytest

from actors.runtime.ray_actors.silos import AFTER_ITS_END, WITH_THE_SERVICE
from actors.store.embedded import EmbeddedPostgres
from actors.store.event_store import RecordedEvent
from actors.store.postgres import PostgresEventStore
from tests.acceptance import serving
from tests.acceptance.serving import Served

PARTITIONS = 16


class Renaming:
    """The program `renaming` while it runs, and what was acknowledged to it."""

    def __init__(self, served: Served, prefix: str, customers: int, callers: int) -> None:
        command = [sys.executable, "-m", "tests.acceptance.renaming", prefix, str(customers), str(callers)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=served.ray_environment
        )
        self.acknowledged: list[dict[str, Any]] = []
        self._grown = Condition()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def wait_for(self, more: int, customer: str | None = None, *, within_s: float = 30.0) -> None:
        """Wait until so many more commands are acknowledged, of one customer or of all."""
        with self._grown:
            enough = self._count(customer) + more
            grown = self._grown.wait_for(lambda: self._count(customer) >= enough, timeout=within_s)
        assert grown, f"only {self._count(customer)} of {enough} commands for {customer or 'all'}"

    def stop(self) -> None:
        """Let every caller send its last command; all must be acknowledged."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._reader.join()
        self._process.stdout.close()
        assert self._process.wait() == 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._grown:
                self.acknowledged.append(json.loads(line))
                self._grown.notify_all()

    def _count(self, customer: str | None) -> int:
        return sum(customer in (None, each["customer"]) for each in self.acknowledged)


@contextmanager
def renaming(served: Served, prefix: str, customers: int, callers: int) -> Iterator[Renaming]:
    """Callers that rename customers until the block ends; then what was acknowledged is held against the log."""
    running = Renaming(served, prefix, customers, callers)
    try:
        yield running
    finally:
        running.stop()
    log = asyncio.run(_read_log(served, [f"customer-{prefix}{number}" for number in range(customers)]))
    written = sorted((event.key, event.version, str(event.command_id)) for event in log)
    assert sorted((each["customer"], each["version"], each["command_id"]) for each in running.acknowledged) == written
    verified = serving.run("verify", "log", "--data", str(served.data), "--output", "json")
    assert json.loads(verified.stdout)["findings"] == [], verified.stderr


async def _read_log(served: Served, streams: list[str]) -> list[RecordedEvent]:
    store = await PostgresEventStore.open(EmbeddedPostgres(served.data).url("events"), partitions=PARTITIONS)
    try:
        return [event for stream in streams for event in await store.read_stream(stream)]
    finally:
        await store.close()


def homes(served: Served) -> list[psutil.Process]:
    """The processes of customers that have one of their own."""
    return served.actors("Own")


def silos(served: Served) -> list[dict[str, Any]]:
    """What operators are told of the silos."""
    items: list[dict[str, Any]] = served.http.get("/v1/admin/silos").json()["items"]
    return items


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait()


def wait_until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline


OPERATOR = """
import json
from actors.errors import Rejected
from actors.runtime.ray_actors import join_ray, ray

join_ray(None)
customer = ray.get_actor("customer/c0", namespace="rayleans")
receipt = json.loads(ray.get(customer.execute.remote("deactivate", '{"reason": "test"}', by="operator")))
print(receipt["id"], [event["type"] for event in receipt["events"]])
print(json.loads(ray.get(customer.state.remote()))["state"]["active"])
try:
    ray.get(customer.execute.remote("rename", '{"name": "Alice"}'))
except Rejected as no:
    print(no.code)
names = [actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)]
print(*sorted(name for name in names if name.startswith(("customer/c", "order/"))))
"""


def test_own_actor_is_reached_by_its_name(served_elsewhere: Served) -> None:
    for key in ("c0", "c1"):
        served_elsewhere.http.post(f"/v1/customers/{key}/register", json={"name": "C", "email": "c@example.com"})
    served_elsewhere.http.post("/v1/orders/o1/create", json={"customer_id": "c0", "currency": "EUR"})

    done = served_elsewhere.run_python(OPERATOR)

    said = ["c0 ['CustomerDeactivated']", "False", "customer-inactive", "customer/c0 customer/c1"]
    assert done.stdout.splitlines() == said, done.stderr
    every = silos(served_elsewhere)
    told = {(home["actor"], home["id"]): (home["pid"], home["node"]) for silo in every for home in silo["own_homes"]}
    assert {("customer", "c0"), ("customer", "c1")} <= told.keys()
    assert {pid for pid, _ in told.values()} <= {each.pid for each in homes(served_elsewhere)}
    assert {node for _, node in told.values()} == {silo["node"] for silo in every}
    assert {silo["takeover"]["why"] for silo in every} == {WITH_THE_SERVICE}


def test_f2_own_actor_killed_under_load(served_elsewhere: Served) -> None:
    with renaming(served_elsewhere, "k", customers=3, callers=4) as load:
        load.wait_for(100)
        for victim in homes(served_elsewhere):
            kill(victim)
            load.wait_for(100)
        wait_until(lambda: len(homes(served_elsewhere)) == 3)

        orphans = homes(served_elsewhere)
        for silo in served_elsewhere.actors("Silo"):
            kill(silo)
        load.wait_for(100)
        wait_until(lambda: len(homes(served_elsewhere)) == 3 and not any(orphan.is_running() for orphan in orphans))
        load.wait_for(100)
        assert all(silo["takeover"]["why"].startswith(AFTER_ITS_END) for silo in silos(served_elsewhere))


def test_busy_actor_moves_to_a_home_under_load(served: Served) -> None:
    with renaming(served, "busy", customers=2, callers=4) as load:
        wait_until(lambda: len(homes(served)) > 0)
        for customer in ("busy0", "busy1"):
            load.wait_for(100, customer)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_f2_own_actors_of_twenty_customers_killed_and_paused_one_by_one_under_load(served_elsewhere: Served) -> None:
    with renaming(served_elsewhere, "l", customers=20, callers=4) as load:
        wait_until(lambda: len(homes(served_elsewhere)) >= 20, within_s=240)
        for number, victim in enumerate(homes(served_elsewhere)):
            if number % 4:
                kill(victim)
            else:
                victim.send_signal(signal.SIGSTOP)
            load.wait_for(200)
        wait_until(lambda: len(homes(served_elsewhere)) == 20, within_s=240)
        for number in range(20):
            load.wait_for(10, f"l{number}")
