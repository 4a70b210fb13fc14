"""The process of a silo or of one actor is killed or paused while commands are on their way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from actors.errors import WrongExpectedVersion
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres_scan import scan_log
from tests.acceptance.serving import Served
from tests.faults.checker import check_recovery
from tests.faults.customers import check_log_and_views, customers_of

BACK_AFTER_KILL_S = 5.0
BACK_AFTER_PAUSE_S = 10.0
# On a machine that does many other things the start of a process alone can take ten seconds.
BACK_ON_A_BUSY_MACHINE_S = 30.0

Record = Callable[[str, object], None]


async def silo(served: Served) -> psutil.Process:
    """The process of the silo that is at work, or is about to."""
    while True:
        for process in served.actors("Silo"):
            with suppress(psutil.NoSuchProcess):
                if process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
                    return process
        await asyncio.sleep(0.05)


async def epochs(served: Served) -> dict[int, int]:
    async with scan_log(EmbeddedPostgres(served.data).url("events")) as log:
        return dict(log.epochs)


async def test_f1_silo_killed(served: Served) -> None:
    async with customers_of(served) as customers, customers.load():
        await customers.history.more(200)
        with customers.history.fault("kill") as fault:
            (await silo(served)).kill()
        await customers.history.more(200)
        assert any(isinstance(each.outcome, WrongExpectedVersion) for each in customers.history.operations)
    assert not check_recovery(customers.history, fault, within_s=BACK_ON_A_BUSY_MACHINE_S, overlapping=10)


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_f1_silo_killed_every_two_seconds_for_a_minute(served: Served, record_property: Record) -> None:
    """Two seconds after it was back: a silo that is killed while it starts has no commands to lose."""
    async with customers_of(served) as customers, customers.load():
        await customers.history.more(200)
        async with asyncio.timeout(200):
            for _ in range(30):
                with customers.history.fault("kill"):
                    (await silo(served)).kill()
                await customers.history.more(1)
                await asyncio.sleep(2)
    recoveries = [customers.history.recovery_s(fault) for fault in customers.history.faults]
    record_property("acknowledged", customers.history.acknowledged)
    record_property("unknown", customers.history.unknown)
    record_property("back after, s", [round(recovery, 1) for recovery in recoveries])
    for fault in customers.history.faults:
        assert not check_recovery(customers.history, fault, within_s=BACK_AFTER_KILL_S, overlapping=10)


async def test_f2_own_actors_killed(served_elsewhere: Served) -> None:
    async with customers_of(served_elsewhere) as customers, customers.load():
        await customers.history.more(200)
        before = await epochs(served_elsewhere)
        with customers.history.fault("kill") as fault:
            victims = served_elsewhere.actors("Own")
            for victim in victims:
                victim.kill()
        await customers.history.more(200)
        assert await epochs(served_elsewhere) == before
    assert victims
    assert not check_recovery(customers.history, fault, within_s=BACK_ON_A_BUSY_MACHINE_S, overlapping=10)


@pytest.mark.parametrize(
    ("pause_s", "within_s"),
    [(8.0, BACK_ON_A_BUSY_MACHINE_S), pytest.param(30.0, BACK_AFTER_PAUSE_S, marks=pytest.mark.long)],
)
async def test_f6_silo_paused(served: Served, pause_s: float, within_s: float, record_property: Record) -> None:
    """A new owner works meanwhile; the old one writes and answers nothing more, and ends."""
    async with customers_of(served) as customers, customers.load():
        await customers.history.more(200)
        paused = await silo(served)
        with customers.history.fault("pause") as fault:
            began = asyncio.get_running_loop().time()
            paused.suspend()
            await customers.history.more(200)
            back_after = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.0, pause_s - back_after))
        _resume(paused)
        await customers.history.more(100)
        gone = asyncio.to_thread(psutil.wait_procs, [paused], 5)
        assert (await gone)[0] == [paused]
    record_property("acknowledged", customers.history.acknowledged)
    record_property("back after, s", round(back_after, 1))
    assert back_after < within_s
    assert customers.history.overlapping(fault) > 100


async def test_f8_silo_paused_for_a_moment_is_left_alone(served: Served) -> None:
    async with customers_of(served) as customers, customers.load():
        await customers.history.more(200)
        before = await epochs(served)
        for pause_s in (0.2, 2.0):
            with customers.history.fault("pause"):
                (await silo(served)).suspend()
                await asyncio.sleep(pause_s)
            _resume(silo_that_is_stopped(served))
            await customers.history.more(100)
        assert await epochs(served) == before
    for fault in customers.history.faults:
        assert not check_recovery(customers.history, fault, within_s=1.5, overlapping=10)


def silo_that_is_stopped(served: Served) -> psutil.Process:
    (stopped,) = (each for each in served.actors("Silo") if each.status() == psutil.STATUS_STOPPED)
    return stopped


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


def test_f1_f6_f8_log_and_views_of_the_service_are_as_promised(served: Served) -> None:
    check_log_and_views(served)
