"""Row F27 of the fault matrix: the clock of one process jumps, and those of the others do not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from projections.standard import STANDARD
from tests.integration.service import Service, running_service

HOUR_S = 3_600.0
MOMENT_S = 0.1

_true_time = time.time


class SiloClock:
    """Right, but for what it is ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return _true_time() + self.ahead_s


@pytest.fixture
def silo_clock() -> SiloClock:
    return SiloClock()


@pytest.fixture
async def service(views_url: str, tmp_path: Path, silo_clock: SiloClock) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path, silo_clock=silo_clock) as service:
        yield service


@contextmanager
def gateway_clock(ahead_s: float) -> Iterator[None]:
    """What gives commands their deadlines; tokens are checked by another clock, see row J10."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: _true_time() + ahead_s)
        yield


async def rename(service: Service, key: str, name: str) -> httpx.Response:
    """Under a key that is made of both names."""
    sent = {"Idempotency-Key": f"{key} {name}", "Prefer": "wait=1"}
    return await service.http.post(f"/v1/customers/{key}/rename", json={"name": name}, headers=sent)


async def check(service: Service, key: str, *names: str) -> None:
    """Order is that of the versions and positions, whatever the times say; the view has all of it."""
    events = await service.store.read_stream(f"customer-{key}")
    assert [event.version for event in events] == [*range(1, len(names) + 2)]
    assert sorted(event.position for event in events) == [event.position for event in events]
    token = (await rename(service, key, names[-1])).json()["token"]
    seen = await service.http.get(f"/v1/customers/{key}", headers={"Consistency-Token": token})
    assert (seen.json()["name"], seen.json()["version"]) == (names[-1], len(names) + 1)


async def test_f27_clock_that_jumps_changes_neither_order_nor_what_is_done_once(
    service: Service, silo_clock: SiloClock
) -> None:
    jumps = [(HOUR_S, 0.0), (-MOMENT_S, 0.0), (0.0, -HOUR_S), (0.0, MOMENT_S)]
    for key, (gateway_s, silo_s) in zip("abcd", jumps, strict=True):
        await service.register(key)
        await rename(service, key, "first")
        with gateway_clock(gateway_s):
            silo_clock.ahead_s = silo_s
            assert (await rename(service, key, "second")).json()["version"] == 3
            assert (await rename(service, key, "first")).json()["replayed"]
        silo_clock.ahead_s = 0.0
        assert (await rename(service, key, "second")).json()["replayed"]
        assert (await rename(service, key, "third")).json()["version"] == 4

        await check(service, key, "first", "second", "third")


async def test_f27_command_that_seems_too_late_is_not_done(
    service: Service, silo_clock: SiloClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the last try may be given up just before the silo has answered it, as 504.
    monkeypatch.setattr("actors.runtime.lane.SWEEP_S", 60.0)
    for key, gateway_s, silo_s in (("a", -HOUR_S, 0.0), ("b", 0.0, HOUR_S)):
        await service.register(key)
        with gateway_clock(gateway_s):
            silo_clock.ahead_s = silo_s
            refused = await rename(service, key, "first")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert (await service.http.get("/v1/customers")).status_code == 200
        silo_clock.ahead_s = 0.0
        assert (await rename(service, key, "first")).json()["version"] == 2

        await check(service, key, "first")
