from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from actors.store.embedded import EmbeddedPostgres
from gateway.database_address import place_of
from tests.acceptance import serving
from tests.acceptance.serving import Served

ALICE = {"name": "Alice", "email": "alice@example.com"}


def test_service_that_was_killed_with_its_database_comes_back_with_everything(served: Served) -> None:
    key = {"Idempotency-Key": "before the end"}
    receipt = served.http.post("/v1/customers/killed/register", json=ALICE, headers=key).json()
    postmaster = psutil.Process(int((served.data / "postgres/cluster/postmaster.pid").read_text().split()[0]))
    served.kill()
    postmaster.kill()

    served.start_again()
    served.wait_until_ready()
    again = served.http.post("/v1/customers/killed/register", json=ALICE, headers=key).json()
    seen = served.http.get("/v1/customers/killed", headers={"Consistency-Token": receipt["token"]})

    assert again == {**receipt, "replayed": True}
    assert seen.json()["name"] == "Alice"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that is not the service's own; it does not run yet, but it has been there before."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("database"))
    server.start()
    server.stop()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def settings(database: EmbeddedPostgres) -> dict[str, str]:
    """Another domain, on databases of somebody else."""
    return {
        "RAYLEANS_EVENTS_URL": database.url("events"),
        "RAYLEANS_VIEWS_URL": database.url("views"),
        "RAYLEANS_DOMAIN": "tests.account_domain:BANK",
    }


@pytest.fixture(scope="module")
def bank(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose databases are not there yet."""
    service = serving.start(tmp_path_factory.mktemp("bank") / "data", env=settings)
    yield service
    if service.process.poll() is None:
        assert service.stop() == 0


PYTHON_CLIENT = """
import asyncio
from actors import connect
from tests.account import ACCOUNT, Deposit

async def main():
    async with connect() as client:
        print((await client.actor(ACCOUNT, "ada").execute(Deposit(amount=5))).version)

asyncio.run(main())
"""


def test_service_waits_for_its_database_and_outlives_it(bank: Served, database: EmbeddedPostgres) -> None:
    away = serving.patiently(lambda: httpx.get(f"{bank.url}/readyz"), within_s=60, until=503)
    assert "PostgreSQL does not answer" in " ".join(away.json()["reasons"])
    said = bank.messages.read_text()
    for name in ("RAYLEANS_EVENTS_URL", "RAYLEANS_VIEWS_URL"):
        assert f"at {place_of(bank.env[name])}: PostgreSQL does not answer" in said
        assert f"start it or correct {name}" in said

    database.start()
    bank.wait_until_ready()
    receipt = bank.http.post("/v1/accounts/ada/open", json={"owner": "Ada"}).json()
    seen = bank.http.get("/v1/views/accounts/ada", headers={"Consistency-Token": receipt["token"]})
    assert seen.json() == {"id": "ada", "owner": "Ada", "balance": 0, "note": None}
    assert bank.http.get("/v1/customers").status_code == 404
    from_python = bank.run_python(PYTHON_CLIENT)
    assert from_python.stdout == "2\n", from_python.stderr

    database.stop()
    refused = bank.http.post("/v1/accounts/ada/deposit", json={"amount": 1}, headers={"Prefer": "wait=1"})
    assert refused.status_code in {503, 504}
    assert refused.json()["code"] in {"unavailable", "outcome-unknown"}
    assert bank.http.get("/v1/views/accounts/ada").status_code == 503
    assert serving.patiently(lambda: bank.http.get("/readyz"), within_s=10, until=503).json()["reasons"]

    database.start()
    serving.patiently(lambda: bank.http.get("/readyz"), within_s=10)
    deposited = bank.http.post("/v1/accounts/ada/deposit", json={"amount": 1})
    assert deposited.status_code == 200
    again = bank.http.get("/v1/views/accounts", headers={"Consistency-Token": deposited.json()["token"]})
    assert again.json()["items"][0]["balance"] in {6, 7}


def test_newer_service_takes_the_log_over_and_the_older_one_ends(
    bank: Served, database: EmbeddedPostgres, settings: dict[str, str], tmp_path: Path
) -> None:
    database.start()
    serving.patiently(lambda: httpx.get(f"{bank.url}/readyz"), within_s=60)
    newer = serving.start(tmp_path / "data", env=settings)
    try:
        newer.wait_until_ready()
        receipt = newer.http.post("/v1/accounts/bob/open", json={"owner": "Bob"}).json()
        deadline = time.monotonic() + 60
        while bank.process.poll() is None:
            assert time.monotonic() < deadline
            receipt = newer.http.post("/v1/accounts/bob/deposit", json={"amount": 1}).raise_for_status().json()

        assert bank.ended() == 4
        *_, told = bank.messages.read_text().splitlines()
        assert re.fullmatch(
            rf"rayleans: a newer service took the log over at [-\d]+ [:\d]+ UTC: process {newer.process.pid} on \S+; "
            r"this one has stopped: use that one, or start this one again",
            told,
        )
        receipt = newer.http.post("/v1/accounts/bob/deposit", json={"amount": 1}).raise_for_status().json()
        seen = newer.http.get("/v1/views/accounts/bob", headers={"Consistency-Token": receipt["token"]})
        assert seen.json()["balance"] == receipt["version"] - 1
        (view,) = newer.http.get("/v1/admin/projections").json()["items"]
        assert (view["state"], view["error"]) == ("running", None)
        for checked in ("log", "views"):
            verified = serving.run("verify", checked, env=settings)
            assert verified.returncode == 0, verified.stdout
    finally:
        newer.end()
