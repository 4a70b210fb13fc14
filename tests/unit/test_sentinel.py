"""A silo that stands still is replaced, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from actors.runtime.lane import Lost, NotSent
from actors.runtime.sentinel import Patience, Sentinel

QUICK = Patience(interval_s=0.0, timeout_s=0.01, misses=3, misses_at_start=5)
ANSWERS, SILENT, ENDED, NOT_THERE, ODD = "answers", "silent", "ended", "not there", "odd"


async def replaced_after(*probes: str) -> Sequence[int]:
    """The numbers of probes after which the silo was replaced."""
    waiting, replaced, seen_all = list(probes), [], asyncio.Event()

    async def probe() -> None:
        if not waiting:
            seen_all.set()
            return
        match waiting.pop(0):
            case "silent":
                await asyncio.get_running_loop().create_future()
            case "ended":
                raise Lost
            case "not there":
                raise NotSent
            case "odd":
                raise RuntimeError("nobody foresaw it")

    async def replace() -> None:
        replaced.append(len(probes) - len(waiting))
        if len(replaced) == 1:
            raise RuntimeError("nobody foresaw this either")

    watching = asyncio.create_task(Sentinel("silo/0", probe, replace, QUICK).run())
    await seen_all.wait()
    watching.cancel()
    return replaced


@pytest.mark.parametrize(
    ("probes", "replaced"),
    [
        pytest.param([ANSWERS] * 10, [], id="answers"),
        pytest.param([ANSWERS, SILENT, SILENT, ANSWERS, SILENT, SILENT, ANSWERS], [], id="slow at times"),
        pytest.param([ANSWERS, SILENT, SILENT, SILENT, ANSWERS], [4], id="stands still"),
        pytest.param([ANSWERS, NOT_THERE, NOT_THERE, NOT_THERE], [4], id="is not there"),
        pytest.param([ANSWERS, ODD, ODD, ODD, ANSWERS], [4], id="cannot be asked"),
        pytest.param([ANSWERS, *[SILENT] * 3, *[SILENT] * 5], [4, 9], id="could not be replaced the first time"),
        pytest.param([SILENT] * 4, [], id="is just starting"),
        pytest.param([SILENT] * 5, [5], id="does not start"),
        pytest.param([ANSWERS, ENDED, SILENT, SILENT, SILENT, SILENT, ANSWERS], [], id="is started anew by Ray"),
        pytest.param([ANSWERS, *[SILENT] * 3, *[SILENT] * 4, ANSWERS], [4], id="the new one may take its time"),
    ],
)
async def test_silo_is_replaced_when_it_was_silent_for_too_long(probes: list[str], replaced: list[int]) -> None:
    assert await replaced_after(*probes) == replaced
