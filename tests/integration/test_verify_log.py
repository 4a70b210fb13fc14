"""`rayleans verify log`, on a database."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from actors.runtime.wire import encode
from actors.store.postgres import PostgresEventStore
from gateway.cli import app
from tests.account import ACCOUNT
from tests.in_process import command, running_silos

Verify = Callable[..., Result]


@pytest.fixture
def verify(events_url: str, monkeypatch: pytest.MonkeyPatch) -> Verify:
    monkeypatch.setenv("RAYLEANS_EVENTS_URL", events_url)
    monkeypatch.setenv("RAYLEANS_VIEWS_URL", events_url)
    monkeypatch.setenv("RAYLEANS_DOMAIN", "tests.account_domain:BANK")

    def run(*arguments: str) -> Result:
        # In a thread, because the test has an event loop of its own.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(CliRunner().invoke, app, ["verify", "log", *arguments]).result()

    return run


@pytest.fixture
async def log(events_url: str) -> None:
    store = await PostgresEventStore.open(events_url, partitions=4)
    async with running_silos(store, [ACCOUNT]) as (silo,):
        opened = [command("found", '{"owner": "x", "amount": 5}', key=f"a{number}") for number in range(50)]
        spent = [command("withdraw", '{"amount": 5}', key=f"a{number}") for number in range(50)]
        await silo.execute(encode([*opened, *spent]))
    await store.close()


@pytest.mark.usefixtures("log")
def test_healthy_log_passes_with_its_counts(verify: Verify) -> None:
    done = verify("--output", "json")

    assert json.loads(done.stdout) == {"partitions": 4, "events": 150, "streams": 50, "commands": 100, "findings": []}
    assert done.exit_code == 0
    assert "findings" in verify().stdout


@pytest.mark.usefixtures("log")
async def test_forged_row_is_named_and_the_exit_code_tells_of_it(verify: Verify, events_url: str) -> None:
    forge = """UPDATE events SET data = '{"amount": 4}' WHERE stream = 'account-a7' AND version = 3"""
    await _execute(events_url, forge)

    done = verify("--output", "json")

    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["stream"], finding["version"], finding["promise"]) == ("account-a7", 3, "legal")
    assert done.exit_code == 7
    assert "account-a7" in verify().stdout
    assert verify("--no-decisions").exit_code == 0


@pytest.mark.usefixtures("log")
async def test_deleted_row_is_a_gap(verify: Verify, events_url: str) -> None:
    await _execute(events_url, "DELETE FROM events WHERE stream = 'account-a7' AND version = 2")

    findings = json.loads(verify("--output", "json").stdout)["findings"]

    assert "gapless" in {finding["promise"] for finding in findings}


def test_database_without_a_log_is_an_error(verify: Verify) -> None:
    done = verify()

    assert done.exit_code == 1
    assert "there is no log in this database" in done.stderr


def test_database_that_is_away_is_unavailable(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYLEANS_EVENTS_URL", "postgresql://nobody@127.0.0.1:1/nowhere")

    assert verify().exit_code == 6


async def _execute(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
