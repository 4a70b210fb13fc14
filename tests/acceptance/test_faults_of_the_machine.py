from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from actors.store.embedded import EmbeddedPostgres
from tests.acceptance import serving
from tests.acceptance.serving import Served

ALICE = {"name": "Alice", "email": "alice@example.com"}


def test_d6_service_that_was_killed_with_its_database_comes_back_with_everything_also_the_keys(tmp_path: Path) -> None:
    first = serving.start(tmp_path)
    first.wait_until_ready()
    receipt = first.http.post("/v1/customers/alice/register", json=ALICE, headers={"Idempotency-Key": "k"}).json()
    postmaster = psutil.Process(int((tmp_path / "postgres/cluster/postmaster.pid").read_text().split()[0]))
    first.kill()
    postmaster.kill()

    second = serving.start(tmp_path)
    try:
        second.wait_until_ready()
        again = second.http.post("/v1/customers/alice/register", json=ALICE, headers={"Idempotency-Key": "k"}).json()
        seen = second.http.get("/v1/customers/alice", headers={"Consistency-Token": receipt["token"]})
    finally:
        assert second.stop() == 0

    assert again == {**receipt, "replayed": True}
    assert seen.json()["name"] == "Alice"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that is not the service's own; it does not run yet, but it has been there before."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    server.stop()
    yield server
    server.stop()


@pytest.fixture
def served_elsewhere(database: EmbeddedPostgres, tmp_path: Path) -> Iterator[Served]:
    """A service of another domain, on databases of somebody else, which are not there yet."""
    env = {
        "RAYLEANS_EVENTS_URL": database.url("events"),
        "RAYLEANS_VIEWS_URL": database.url("views"),
        "RAYLEANS_DOMAIN": "tests.account_domain:BANK",
    }
    service = serving.start(tmp_path / "data", env=env)
    yield service
    assert service.stop() == 0


def test_service_waits_for_its_database_and_outlives_it(served_elsewhere: Served, database: EmbeddedPostgres) -> None:
    away = serving.patiently(lambda: httpx.get(f"{served_elsewhere.url}/readyz"), within_s=60, until=503)
    assert "PostgreSQL does not answer" in " ".join(away.json()["reasons"])

    database.start()
    served_elsewhere.wait_until_ready()
    http = served_elsewhere.http
    receipt = http.post("/v1/accounts/ada/open", json={"owner": "Ada"}).json()
    seen = http.get("/v1/views/accounts/ada", headers={"Consistency-Token": receipt["token"]})
    assert seen.json() == {"id": "ada", "owner": "Ada", "balance": 0, "note": None}
    assert http.get("/v1/customers").status_code == 404

    database.stop()
    refused = http.post("/v1/accounts/ada/deposit", json={"amount": 1}, headers={"Prefer": "wait=1"})
    assert refused.status_code in {503, 504}
    assert refused.json()["code"] in {"unavailable", "outcome-unknown"}
    assert http.get("/v1/views/accounts/ada").status_code == 503
    assert serving.patiently(lambda: http.get("/readyz"), within_s=10, until=503).json()["reasons"]

    database.start()
    serving.patiently(lambda: http.get("/readyz"), within_s=10)
    deposited = http.post("/v1/accounts/ada/deposit", json={"amount": 1})
    assert deposited.status_code == 200
    again = http.get("/v1/views/accounts", headers={"Consistency-Token": deposited.json()["token"]})
    assert again.json()["items"][0]["balance"] in {1, 2}


PYTHON_CLIENT = """
import asyncio
from actors import connect
from tests.account import ACCOUNT, Deposit, Open

async def main():
    async with connect() as client:
        ada = client.actor(ACCOUNT, "ada")
        await ada.execute(Open(owner="Ada"))
        print((await ada.execute(Deposit(amount=5))).version)

asyncio.run(main())
"""


def test_reference_reaches_an_actor_of_another_domain(served_elsewhere: Served, database: EmbeddedPostgres) -> None:
    database.start()
    served_elsewhere.wait_until_ready()

    done = served_elsewhere.run_python(PYTHON_CLIENT)

    assert done.stdout == "2\n", done.stderr
