"""What must hold for views while the service works hard and its projections die or are built anew."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from actors.store.data_dir import DataDir
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import PostgresEventStore
from gateway.bench.crowd import write_crowd
from tests.acceptance import serving
from tests.acceptance.serving import Served
from tests.sse import Subscriber

CALLERS = 12
FOLLOWERS = 20
RANDOM = random.Random(7)  # noqa: S311 - the same load in each run


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_views_and_followers_are_exact_after_a_minute_of_load_with_projections_killed_every_three_seconds(
    served: Served,
) -> None:
    killed = 0
    async with followed(served) as followers, load(served) as done:
        for _ in range(20):
            await asyncio.sleep(3)
            killed += kill(RANDOM.choice(served.actors("Projection") or [None]))
    connections = sum(each.connections for each in followers)
    print(f"{killed} killed, {done}, {len(followers)} followers on {connections} connections")  # noqa: T201

    audits = verify(served)

    assert killed >= 15
    assert connections > 100
    assert {each.seen for each in followers} == {sum((await heads(served)).values())}
    assert done.commands > 1_000
    assert done.queries > 200
    assert [audit["difference"] for audit in audits] == [None] * len(audits)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_rebuild_of_a_million_events_under_load_fails_no_query_and_shows_none_older_data(
    crowded: Served,
) -> None:
    async with load(crowded) as done:
        began = asyncio.get_running_loop().time()
        crowded.http.post("/v1/admin/projections/customers/rebuild").raise_for_status()
        status = crowded.http.get("/v1/admin/projections/customers").json()
        while status["version"] == 1:
            await asyncio.sleep(1)
            status = crowded.http.get("/v1/admin/projections/customers").json()
            assert status["rebuild"] is None or status["rebuild"]["error"] is None, status
        took = asyncio.get_running_loop().time() - began
    print(f"rebuilt in {took:.0f} s, {done}")  # noqa: T201 - figures for the report

    assert verify(crowded, "--projection", "customers")[0]["difference"] is None
    assert done.queries > 100


class Done:
    """What was done under load; every answer was looked at."""

    def __init__(self) -> None:
        self.commands = self.queries = 0

    def __str__(self) -> str:
        return f"{self.commands} commands, {self.queries} queries"


@asynccontextmanager
async def load(served: Served) -> AsyncIterator[Done]:
    """Callers who rename customers and look at once whether they see it, until the block ends."""
    done, stop = Done(), asyncio.Event()
    token = (served.data / "token").read_text().strip()
    limits = httpx.Limits(max_connections=CALLERS)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60, limits=limits) as http:
        callers = [asyncio.create_task(_call(http, f"load-{number}", done, stop)) for number in range(CALLERS)]
        try:
            yield done
        finally:
            stop.set()
            await asyncio.gather(*callers)


@asynccontextmanager
async def followed(served: Served) -> AsyncIterator[list[Subscriber]]:
    """Followers of the log who come and go at random, and check what they get; in the end each gets the rest."""
    headers = {"Authorization": f"Bearer {served.token}"}
    limits = httpx.Limits(max_connections=FOLLOWERS)
    async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60, limits=limits) as http:
        followers = [Subscriber(http) for _ in range(FOLLOWERS)]
        work = [asyncio.create_task(_follow(each)) for each in followers]
        try:
            yield followers
        finally:
            for each in work:
                each.cancel()
            ends = await asyncio.gather(*work, return_exceptions=True)
        assert not [end for end in ends if not isinstance(end, asyncio.CancelledError)]
        events = sum((await heads(served)).values())
        await asyncio.gather(*(_follow(each, events) for each in followers))


async def _follow(follower: Subscriber, events: int = 2**62) -> None:
    """Connect again and again, until so many events were seen."""
    while follower.seen < events:
        await follower.follow(min(RANDOM.randrange(1, 100), events - follower.seen))


async def heads(served: Served) -> Mapping[int, int]:
    """How far the log is."""
    store = await PostgresEventStore.open(EmbeddedPostgres(served.data).url("events"), partitions=16)
    try:
        return await store.heads()
    finally:
        await store.close()


async def _call(http: httpx.AsyncClient, key: str, done: Done, stop: asyncio.Event) -> None:
    path, seen = f"/v1/customers/{key}", 0
    receipt = await _command(http, f"{path}/register", {"name": key, "email": "a@example.com"})
    while not stop.is_set():
        for number in range(RANDOM.randrange(1, 20)):
            receipt = await _command(http, f"{path}/rename", {"name": f"{key} {number} {receipt['version']}"})
            done.commands += 1
        wait = {"Consistency-Token": receipt["token"], "Prefer": "wait=30"}
        answer = await http.get(path, headers=wait)
        assert answer.status_code == 200, answer.text
        assert answer.json()["version"] >= receipt["version"]
        plain = await http.get(path)
        assert plain.status_code == 200, plain.text
        assert plain.json()["version"] >= max(seen, receipt["version"])
        seen = plain.json()["version"]
        done.queries += 2


async def _command(http: httpx.AsyncClient, path: str, data: dict[str, Any]) -> dict[str, Any]:
    reply = await http.post(path, json=data)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A service with a million events in its log."""
    data = tmp_path / "data"
    with DataDir(data):
        server = EmbeddedPostgres(data)
        server.start()
        asyncio.run(write_crowd(server.url("events"), 16, 200_000, 5))
        server.stop()
    monkeypatch.setattr(serving, "STARTS_WITHIN_S", 600.0)
    service = serving.start(data)
    service.wait_until_ready()
    yield service
    service.stop()


def verify(served: Served, *arguments: str) -> list[dict[str, Any]]:
    """What `rayleans verify views` found."""
    found = serving.run("verify", "views", "--data", str(served.data), "--output", "json", *arguments, served=served)
    assert found.returncode in {0, 7}, found.stderr
    items: list[dict[str, Any]] = json.loads(found.stdout)["items"]
    return items


def kill(process: psutil.Process | None) -> int:
    """Kill a process, if there is one. Returns how many were killed."""
    try:
        if process is not None:
            process.kill()
            return 1
    except psutil.NoSuchProcess:
        pass
    return 0
