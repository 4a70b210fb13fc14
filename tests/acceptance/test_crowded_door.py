"""Many who only keep a gateway busy: row L1 of the checklist, F33 and F35 of the fault matrix, at full size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from gateway.bench.http_load import closed_requests, open_requests
from gateway.bench.report import Latencies
from tests.acceptance import serving
from tests.acceptance.serving import Served

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SLOW_SOCKETS = 500
CLOSED_WITHIN_S = 15.0
FOLLOWERS = 1_000
OVERLOAD = 5
CALLERS = 128
FLOOD_CONNECTIONS = 2_000
QUERIES_PER_S = 200
# What the noise of a machine that does other things may add to a p99 that is a few milliseconds.
NOISE_MS = 10.0
MORE_MEMORY = 48 * 1024 * 1024

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that lets one subject send as much as it likes."""
    service = serving.start(tmp_path_factory.mktemp("crowded") / "data", env={"RAYLEANS_RATE_PER_S": "1000000"})
    service.wait_until_ready()
    for number in range(CALLERS):
        body = {"name": "A", "email": "a@example.com"}
        service.http.post(f"/v1/customers/c{number}/register", json=body).raise_for_status()
    yield service
    if service.process.poll() is None:
        assert service.stop() == 0


async def test_l1_slow_sockets_are_closed_and_disturb_nobody(crowded: Served, record_property: Record) -> None:
    alone = await queries(crowded)
    beginnings = [b"GET /healthz HTTP/1.1\r\nX: ", head(crowded, "POST", "/v1/orders/x/place", 1_000)]
    slow = [asyncio.create_task(trickle(crowded, beginnings[each % 2])) for each in range(SLOW_SOCKETS)]
    beside = await queries(crowded)
    lasted = max(await asyncio.gather(*slow))
    again = await queries(crowded)

    tell_p99(record_property, "slow sockets", alone, beside, again)
    tell(record_property, "slow sockets lasted, s", round(lasted, 1))
    assert lasted < CLOSED_WITHIN_S
    assert beside.p99_ms < 2 * max(alone.p99_ms, again.p99_ms) + NOISE_MS


async def test_f35_thousand_who_follow_a_quiet_log_disturb_nobody(crowded: Served, record_property: Record) -> None:
    alone = await queries(crowded)
    followers = await asyncio.gather(*(follow(crowded) for _ in range(FOLLOWERS)))
    before = memory(crowded)
    beside = await queries(crowded)
    beats = await asyncio.gather(*(reader.readuntil(b":\n") for reader, _ in followers))
    after = memory(crowded)
    for _, writer in followers:
        writer.close()
    again = await queries(crowded)

    tell_p99(record_property, "followers", alone, beside, again)
    tell(record_property, "memory of the gateway before, after, MB", (before >> 20, after >> 20))
    assert len(beats) == FOLLOWERS
    assert beside.p99_ms < 2 * max(alone.p99_ms, again.p99_ms) + NOISE_MS
    assert after - before < MORE_MEMORY


async def test_f33_five_times_as_many_callers_get_as_much_done(crowded: Served, record_property: Record) -> None:
    peak, _ = await closed_requests(crowded.url, renames(crowded), CALLERS, 8.0)
    many, tally = await closed_requests(crowded.url, renames(crowded), OVERLOAD * CALLERS, 8.0)

    tell(record_property, "commands each second of callers, and of 5 times as many", (peak.per_s, many.per_s))
    assert tally.others.keys() <= {503}
    assert many.per_s >= 0.8 * peak.per_s


async def test_f33_flood_is_refused_early_and_forgotten_at_once(crowded: Served, record_property: Record) -> None:
    """Here the flood comes from the same two cores, and takes of them what it needs; so what is done meanwhile is only
    told."""
    peak, _ = await closed_requests(crowded.url, renames(crowded), CALLERS, 8.0)
    await open_requests(crowded.url, renames(crowded), FLOOD_CONNECTIONS, 4.0, OVERLOAD * peak.per_s)
    before = memory(crowded)
    flood, tally = await open_requests(crowded.url, renames(crowded), FLOOD_CONNECTIONS, 12.0, OVERLOAD * peak.per_s)
    after = memory(crowded)
    calm, _ = await closed_requests(crowded.url, renames(crowded), CALLERS, 8.0)

    rates = [round(each.per_s) for each in (peak, flood, calm)]
    tell(record_property, "commands each second before the flood, in it, after it", rates)
    tell(record_property, "answers in the flood that were not 200", tally.others)
    tell(record_property, "memory of the gateway in the flood, MB", (before >> 20, after >> 20))
    assert tally.others.keys() <= {503}
    assert calm.per_s >= 0.8 * peak.per_s
    assert after - before < MORE_MEMORY


def tell(record: Record, name: str, figure: object) -> None:
    record(name, figure)
    print(f"{name}: {figure}")  # noqa: T201 - figures for the report


def tell_p99(record: Record, beside_whom: str, alone: Latencies, beside: Latencies, again: Latencies) -> None:
    figures = (alone.p99_ms, beside.p99_ms, again.p99_ms)
    tell(record, f"p99 of queries before, beside and after the {beside_whom}, ms", figures)


def head(served: Served, method: str, path: str, length: int) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {served.token}"]
    return "\r\n".join([*lines, "Content-Type: application/json", f"Content-Length: {length}", "", ""]).encode()


def renames(served: Served) -> Iterator[bytes]:
    run = uuid4().hex
    for number in count():
        body = f'{{"name": "{run} {number}"}}'.encode()
        yield head(served, "POST", f"/v1/customers/c{number % CALLERS}/rename", len(body)) + body


async def queries(served: Served) -> Latencies:
    """How long normal queries take, which come by the clock."""
    request = head(served, "GET", "/v1/customers/c0", 0)
    done, _ = await open_requests(served.url, iter(lambda: request, b""), 16, 8.0, QUERIES_PER_S)
    assert done.latencies is not None
    return done.latencies


def memory(served: Served) -> int:
    """Bytes that its gateway holds."""
    (gateway,) = served.actors("Gateway")
    return int(gateway.memory_info().rss)


async def connect(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(served.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def follow(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Follow the log from now on; the head of the answer is read."""
    reader, writer = await connect(served)
    writer.write(head(served, "GET", "/v1/events", 0))
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def trickle(served: Served, beginning: bytes) -> float:
    """Send a byte a second after a beginning; how long the service bore it, in seconds."""
    reader, writer = await connect(served)
    began = time.monotonic()
    writer.write(beginning)
    closed = asyncio.create_task(reader.read())
    while not closed.done():
        with suppress(ConnectionError):
            writer.write(b"x")
            await writer.drain()
        await asyncio.wait([closed], timeout=1.0)
    with suppress(ConnectionError):
        closed.result()
    writer.close()
    return time.monotonic() - began
