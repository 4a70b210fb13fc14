"""A gateway on a real socket, silos and projections in this process, without Ray: everything else is real."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

from actors.domain.domain import Domain
from actors.runtime.client import Client
from actors.runtime.silo import Silo
from actors.store.event_store import EventStore
from actors.store.memory import MemoryEventStore
from actors.store.token import TokenCodec
from gateway.access.auth import TOKEN_SCOPES
from gateway.access.local_key import LocalKey, local_verifier
from gateway.access.sign_in import SignInCodes
from gateway.app import create_app
from gateway.cluster import GatewayItem, SiloItem
from gateway.http.access_log import AccessLog
from gateway.http.door import Door
from gateway.http.free_port import free_port
from gateway.http.limits import Limits
from gateway.http.server import HttpServer
from gateway.metrics import Metrics
from gateway.queries.log_reader import LogReader
from gateway.queries.tail import Tail
from projections.projection import projections_of
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner
from projections.steering import Steering
from projections.view_reader import ViewReader
from tests.in_process import LocalTransport, running_silos

# Views have the time that a busy machine takes, where a test does not say another.
PATIENT = {"Prefer": "wait=30"}


@dataclass
class Service:
    """A running service, and ways to look behind its door."""

    http: httpx.AsyncClient
    store: MemoryEventStore
    key: LocalKey
    runners: list[asyncio.Task[None]]
    tail: Tail
    access_log: AccessLog
    logged: BytesIO
    door: Door
    server: HttpServer

    @property
    def tokens(self) -> TokenCodec:
        return TokenCodec(self.store.info)

    def token(self, *scopes: str, lifetime: timedelta = timedelta(minutes=5)) -> str:
        return self.key.mint("bob", scopes, lifetime)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A socket of one's own, until the block ends."""
        reader, writer = await asyncio.open_connection(self.http.base_url.host, self.http.base_url.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def raw(self, request: bytes, *, within_s: float = 5.0, enough: bytes | None = None) -> bytes:
        """Send bytes; what came back within `within_s`, or until the service closed the connection or said `enough`."""
        async with self.connection() as (reader, writer):
            writer.write(request)
            answer = b""
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(within_s):
                    while (enough is None or enough not in answer) and (piece := await reader.read(65536)):
                        answer += piece
        return answer

    async def leave_after(self, request: bytes) -> None:
        """Send bytes, and wait for no answer."""
        async with self.connection() as (_, writer):
            writer.write(request)
            await writer.drain()

    async def register(self, key: str, **fields: Any) -> str:
        """Register a customer; a token that has it."""
        body = {"name": "Alice", "email": "alice@example.com", **fields}
        reply = await self.http.post(f"/v1/customers/{key}/register", json=body)
        assert reply.status_code == 200, reply.text
        token: str = reply.json()["token"]
        return token

    async def events_of(self, stream: str) -> list[str]:
        return [event.type for event in await self.store.read_stream(stream)]


class LocalCluster:
    """Silos of this process, and one gateway."""

    def __init__(self, silos: Sequence[Silo]) -> None:
        self._silos = silos

    async def silos(self) -> list[SiloItem]:
        return [SiloItem.of(silo.status, os.getpid(), "127.0.0.1") for silo in self._silos]

    async def gateways(self) -> list[GatewayItem]:
        return [GatewayItem(name="gateway/0", node="127.0.0.1", pid=os.getpid(), port=1)]

    async def other_expositions(self) -> list[str]:
        return [Metrics("gateway/1").exposition()]


@asynccontextmanager
async def running_service(
    domain: Domain,
    views_url: str,
    data: Path,
    store: MemoryEventStore | None = None,
    *,
    limits: Limits | None = None,
    silo_clock: Callable[[], float] = time.time,
) -> AsyncIterator[Service]:
    """A service that works until the block ends, on a new log unless one is given."""
    async with AsyncExitStack() as stack:
        store = store or MemoryEventStore(partitions=4)
        (silo,) = await stack.enter_async_context(running_silos(store, domain.all_deciders, now=silo_clock))
        client = Client(LocalTransport([silo]))
        await client.start()
        runners = [
            await stack.enter_async_context(_running(runner)) for runner in _runners(domain, silo, store, views_url)
        ]
        reader = ViewReader(views_url, projections_of(domain))
        stack.push_async_callback(reader.close)
        log = LogReader(partial(_opened, store))
        key = LocalKey.make_or_load(data)
        port = free_port()
        tail = Tail(log, lambda: client.tokens, partial(_news, silo))
        verifier, logged = local_verifier(key.public_pem), BytesIO()
        access_log = AccessLog(logged)
        door = create_app(
            domain,
            client,
            reader,
            log,
            tail,
            LocalCluster([silo]),
            Steering(views_url, projections_of(domain)),
            verifier,
            codes=SignInCodes(data),
            limits=limits,
            access_log=access_log,
        )
        server = HttpServer(door, "127.0.0.1", port)
        server.start()
        stack.push_async_callback(server.stop)
        stack.push_async_callback(tail.close)
        token = key.mint("bob", TOKEN_SCOPES, timedelta(hours=1))
        http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}", **PATIENT},
            transport=httpx.AsyncHTTPTransport(retries=5),
            timeout=60.0,
        )
        await stack.enter_async_context(http)
        while (await http.get("/readyz")).status_code != httpx.codes.OK:
            pass
        yield Service(http, store, key, runners, tail, access_log, logged, door, server)


async def _opened(store: EventStore) -> EventStore:
    return store


async def _news(silo: Silo, checkpoint: Mapping[int, int]) -> None:
    await silo.wait_beyond(checkpoint, timeout_s=1.0)


def _runners(domain: Domain, silo: Silo, store: EventStore, views_url: str) -> list[ProjectionRunner]:
    async def open_views() -> ReadStore:
        return await ReadStore.open(views_url)

    return [
        ProjectionRunner(projection, partial(_opened, store), open_views, partial(_news, silo))
        for projection in projections_of(domain)
    ]


@asynccontextmanager
async def _running(runner: ProjectionRunner) -> AsyncIterator[asyncio.Task[None]]:
    work = asyncio.create_task(runner.run())
    try:
        yield work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
