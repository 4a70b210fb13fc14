"""Many who only keep a gateway busy: row L1 of the checklist, F33 and F35 of the fault matrix, at full size."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest

from gateway.bench.bare_server import bare_server
from gateway.bench.http_load import Tally, closed_requests, open_requests
from gateway.bench.load import Load
from tests.acceptance import serving, slow_sockets
from tests.acceptance.serving import Served

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SLOW_SOCKETS = 500
CLOSED_WITHIN_S = 15.0
FOLLOWERS = 1_000
OVERLOAD = 5
CALLERS = 128
FLOOD_CONNECTIONS = 2_000
LEAST_IN_FLOOD = 0.7
QUERIES_PER_S = 200
# Of one window nobody knows what else the machine did; so there are several, with and without the crowd by turns.
WINDOWS = 3
WINDOW_S = 5.0
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


@pytest.fixture
def elsewhere(crowded: Served) -> Iterator[Executor]:
    """A process that runs already."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        executor.submit(slow_sockets.hold, crowded.url, []).result()
        yield executor


async def test_l1_slow_sockets_are_closed_and_disturb_nobody(
    crowded: Served, elsewhere: Executor, record_property: Record
) -> None:
    beginnings = [b"GET /healthz HTTP/1.1\r\nX: ", head(crowded, "POST", "/v1/orders/x/place", 1_000)]
    hold = partial(slow_sockets.hold, crowded.url, beginnings * (SLOW_SOCKETS // 2))
    alone, beside, lasted = [], [], []
    for _ in range(WINDOWS):
        alone.append(await p99_ms_of_queries(crowded))
        slow = asyncio.get_running_loop().run_in_executor(elsewhere, hold)
        beside.append(await p99_ms_of_queries(crowded))
        lasted.append(await slow)

    tell(record_property, "p99 of queries without and with slow sockets, ms", (alone, beside))
    tell(record_property, "slow sockets lasted, s", lasted)
    assert max(lasted) < CLOSED_WITHIN_S
    assert median(beside) < 2 * median(alone)


async def test_f35_thousand_who_follow_a_quiet_log_disturb_nobody(crowded: Served, record_property: Record) -> None:
    alone, beside, held = [], [], []
    for _ in range(WINDOWS):
        alone.append(await p99_ms_of_queries(crowded))
        async with followers(crowded) as readers:
            held.append(memory(crowded))
            beside.append(await p99_ms_of_queries(crowded))
            beats = await asyncio.gather(*(reader.readuntil(b":\n") for reader in readers))
            held.append(memory(crowded))
        assert len(beats) == FOLLOWERS

    tell(record_property, "p99 of queries without and with followers, ms", (alone, beside))
    tell(record_property, "memory of the gateway, MB", [each >> 20 for each in held])
    assert median(beside) < 2 * median(alone)
    assert max(held) - held[0] < MORE_MEMORY


async def test_f33_five_times_as_many_callers_get_as_much_done(crowded: Served, record_property: Record) -> None:
    few, many = [], []
    for _ in range(WINDOWS):
        few.append((await commands(crowded, CALLERS)).per_s)
        many.append((await commands(crowded, OVERLOAD * CALLERS)).per_s)

    tell(record_property, "commands each second of callers, and of 5 times as many", (few, many))
    assert median(many) >= 0.8 * median(few)


async def test_f33_flood_is_refused_early_and_forgotten_at_once(crowded: Served, record_property: Record) -> None:
    """The flood comes from the same processors; so what counts is what is done with those that its sender leaves.

    To refuse four of five takes of them as well: the HTTP server reads each request before anybody can refuse it. On
    two processors three to four fifths remain. What the HTTP server would answer of such a flood, if it had nothing
    else to do, is told with the figures.
    """
    calm, after, floods, held = [await commands(crowded, CALLERS)], [], [], []
    bare_per_s = await answered_by_bare_server(crowded, OVERLOAD * calm[0].per_s)
    for _ in range(WINDOWS):
        floods.append(await flood(crowded, OVERLOAD * calm[0].per_s))
        held.append(memory(crowded))
        after.append(await commands(crowded, CALLERS))
        calm.append(await commands(crowded, CALLERS))

    tell(record_property, "commands that came each second in floods", OVERLOAD * calm[0].per_s)
    tell(record_property, "of which the HTTP server answers with nothing behind it", bare_per_s)
    for when, windows in (("without flood", calm), ("right after floods", after), ("in floods", floods)):
        tell(record_property, f"commands each second, and processors that were taken, {when}", windows)
    cost_s = median(each.gateway / each.per_s for each in calm)
    refusals = [each.gateway - each.per_s * cost_s for each in floods]
    tell(record_property, "processors that refusals took in floods, if a command costs what it does without", refusals)
    tell(record_property, "memory of the gateway, MB", [each >> 20 for each in held])
    assert median(each.by_processor for each in floods) >= LEAST_IN_FLOOD * median(each.by_processor for each in calm)
    assert median(each.per_s for each in after) >= 0.8 * median(each.per_s for each in calm)
    assert max(held) - held[0] < MORE_MEMORY


def tell(record: Record, name: str, figure: object) -> None:
    record(name, figure)
    print(f"{name}: {figure}")  # noqa: T201 - figures for the report


def head(served: Served, method: str, path: str, length: int) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {served.token}"]
    return "\r\n".join([*lines, "Content-Type: application/json", f"Content-Length: {length}", "", ""]).encode()


def renames(served: Served) -> Iterator[bytes]:
    run = uuid4().hex
    for number in count():
        body = f'{{"name": "{run} {number}"}}'.encode()
        yield head(served, "POST", f"/v1/customers/c{number % CALLERS}/rename", len(body)) + body


async def p99_ms_of_queries(served: Served) -> float:
    """How long normal queries take, which come by the clock."""
    request = head(served, "GET", "/v1/customers/c0", 0)
    done, _ = await open_requests(served.url, iter(lambda: request, b""), 16, WINDOW_S, QUERIES_PER_S)
    assert done.latencies is not None
    return done.latencies.p99_ms


class Goodput(NamedTuple):
    """Commands that were done, and refused, each second, while sender and gateway took so many processors."""

    per_s: float
    refused_per_s: float
    sender: float
    gateway: float

    @property
    def by_processor(self) -> float:
        """Each second and processor that was left to the service."""
        return self.per_s / (len(psutil.Process().cpu_affinity()) - self.sender)


async def commands(served: Served, callers: int) -> Goodput:
    """So many callers, each with one command under way: nobody is refused, also not right after a flood."""
    goodput = await measured(served, closed_requests(served.url, renames(served), callers, WINDOW_S))
    assert not goodput.refused_per_s
    return goodput


async def flood(served: Served, per_s: float) -> Goodput:
    """So many commands each second, whatever comes back."""
    goodput = await measured(served, open_requests(served.url, renames(served), FLOOD_CONNECTIONS, WINDOW_S, per_s))
    assert goodput.refused_per_s
    return goodput


async def measured(served: Served, load: Awaitable[tuple[Load, Tally]]) -> Goodput:
    """What comes of commands, of which some may be refused."""
    (gateway,) = served.actors("Gateway")
    of_sender_s, of_gateway_s = time.process_time(), processor_s(gateway)
    done, tally = await load
    assert tally.others.keys() <= {503}
    taken_s = time.process_time() - of_sender_s, processor_s(gateway) - of_gateway_s
    return Goodput(done.per_s, *(each / done.elapsed_s for each in (tally.others.get(503, 0), *taken_s)))


def processor_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


async def answered_by_bare_server(served: Served, per_s: float) -> float:
    """How much of a flood the HTTP server answers each second when there is nothing behind it."""
    async with bare_server() as url:
        done, _ = await open_requests(url, renames(served), FLOOD_CONNECTIONS, WINDOW_S, per_s)
    return done.per_s


def memory(served: Served) -> int:
    """Bytes that its gateway holds."""
    (gateway,) = served.actors("Gateway")
    return int(gateway.memory_info().rss)


@asynccontextmanager
async def followers(served: Served) -> AsyncIterator[Sequence[asyncio.StreamReader]]:
    """Many who follow the log from now on; the heads of their answers are read."""
    opened = await asyncio.gather(*(follow(served) for _ in range(FOLLOWERS)))
    yield [reader for reader, _ in opened]
    for _, writer in opened:
        writer.close()


async def follow(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head(served, "GET", "/v1/events", 0))
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer
