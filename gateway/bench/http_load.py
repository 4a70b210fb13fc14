"""HTTP requests on raw connections, so cheap that the generator can share two cores with what it measures.

A closed loop sends on each connection as soon as the answer is there. An open loop sends by the clock, and counts from
the moment at which a request was due, also when no connection was free: waiting that the load itself caused is seen.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from gateway.bench.load import Load
from gateway.bench.report import Latencies

SHORTEST_PAUSE_S = 0.001

_END_OF_HEAD = b"\r\n\r\n"


@dataclass(slots=True)
class Tally:
    """What came back: durations of the answers that were 200, and the numbers of the others by status."""

    durations: list[float] = field(default_factory=list)
    others: dict[int, int] = field(default_factory=dict)

    def add(self, status: int, took_s: float) -> None:
        """One more answer."""
        if status == 200:
            self.durations.append(took_s)
        else:
            self.others[status] = self.others.get(status, 0) + 1

    def over(self, elapsed_s: float) -> Load:
        """All of it; without a good answer the load came to nothing, which is an error here."""
        if not self.durations:
            raise RuntimeError(f"no request was answered with 200; there were {self.others}")
        return Load(len(self.durations), elapsed_s, Latencies.of(self.durations))


class Connection(asyncio.Protocol):
    """One connection, which carries one request at a time.

    Args:
        idle: told when the answer is there, with its status.
    """

    def __init__(self, idle: Callable[[Connection, int], None]) -> None:
        self._idle = idle
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of the event loop's own kind, which need not be a subclass.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, due: float) -> None:
        """Send the next request, which was due at that time."""
        assert self._transport is not None, "connected"  # noqa: S101
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END_OF_HEAD)
        if end < 0 or len(self._received) < end + len(_END_OF_HEAD) + _length(self._received[:end]):
            return
        status, self._received = int(self._received[9:12]), b""
        self._idle(self, status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._received or exc is not None:
            self._idle(self, 0)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def closed_requests(url: str, requests: Iterator[bytes], connections: int, seconds: float) -> tuple[Load, Tally]:
    """Keep so many requests under way for so long."""
    tally, done = Tally(), asyncio.Event()
    ends_at = time.perf_counter() + seconds
    busy = connections

    def answered(connection: Connection, status: int) -> None:
        nonlocal busy
        now = time.perf_counter()
        tally.add(status, now - connection.due)
        if now < ends_at and status:
            connection.send(next(requests), now)
            return
        busy -= 1
        if not busy:
            done.set()

    with _timed() as elapsed:
        opened = [await _connect(url, answered) for _ in range(connections)]
        for connection in opened:
            connection.send(next(requests), time.perf_counter())
        await done.wait()
    for connection in opened:
        connection.close()
    return tally.over(elapsed()), tally


async def open_requests(
    url: str, requests: Iterator[bytes], connections: int, seconds: float, per_s: float
) -> tuple[Load, Tally]:
    """Send so many requests each second for so long, whatever comes back."""
    tally, all_back = Tally(), asyncio.Event()
    free: deque[Connection] = deque()
    due: deque[float] = deque()
    total = int(seconds * per_s)

    def answered(connection: Connection, status: int) -> None:
        tally.add(status, time.perf_counter() - connection.due)
        if due:
            connection.send(next(requests), due.popleft())
        else:
            free.append(connection)
        if len(tally.durations) + sum(tally.others.values()) >= total:
            all_back.set()

    free.extend([await _connect(url, answered) for _ in range(connections)])
    opened = list(free)
    with _timed() as elapsed:
        began = time.perf_counter()
        sent = 0
        while sent < total:
            while sent < total and began + sent / per_s <= time.perf_counter():
                at = began + sent / per_s
                if free:
                    free.popleft().send(next(requests), at)
                else:
                    due.append(at)
                sent += 1
            await asyncio.sleep(SHORTEST_PAUSE_S)
        await all_back.wait()
    for connection in opened:
        connection.close()
    return tally.over(elapsed()), tally


async def _connect(url: str, idle: Callable[[Connection, int], None]) -> Connection:
    parts = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(idle), parts.hostname or "", parts.port or 80
    )
    return connection


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    began = time.perf_counter()
    took = 0.0
    yield lambda: took
    took = time.perf_counter() - began


def _length(head: bytes) -> int:
    """The length of the body that a head announces."""
    start = head.lower().find(b"content-length:")
    return int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
