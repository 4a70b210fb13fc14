"""All Ray calls of the gateway side are made here: gateways as Ray actors, and the service as a whole."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from actors.domain.domain import load_domain
from actors.process import collect_garbage_rarely, end_process_with
from actors.ray_settings import NAMESPACE, pin_ray_settings
from actors.runtime.client import Client
from actors.runtime.lane import Lost, NotSent
from actors.runtime.ray_actors import join_ray
from actors.runtime.ray_actors.cluster import address_of_node, keep_stdout_for_data
from actors.runtime.ray_actors.transport import RayTransport
from actors.store.postgres import PostgresEventStore
from gateway.access.jwks import provider_verifier
from gateway.access.local_key import local_verifier
from gateway.access.sign_in import SignInCodes
from gateway.access.token_verifier import Verifier
from gateway.app import create_app
from gateway.cluster import GatewayItem, SiloItem
from gateway.http.limits import Limits
from gateway.http.server import HttpServer
from gateway.metrics import Metrics
from gateway.queries.log_reader import LogReader
from gateway.queries.tail import Tail
from projections.projection import projections_of
from projections.ray_actors import SiloNews
from projections.steering import Steering
from projections.view_reader import ViewReader

pin_ray_settings()

import ray  # noqa: E402 - reads its environment while it is imported
from ray.actor import ActorHandle  # noqa: E402
from ray.exceptions import RayError  # noqa: E402

log = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 128 * 1024 * 1024
STOP_TIMEOUT_S = 25.0
ANSWER_TIMEOUT_S = 2.0
KILL_TIMEOUT_S = 10.0
KILL_POLL_S = 0.05
LEASE = "service"


class GatewayConfig(msgspec.Struct, frozen=True):
    """What a gateway actor needs to know to start, again and again.

    Attributes:
        domain: `module:attribute` of the domain.
        hosts: names that requests may call it by.
        rate_per_s: requests of one subject that it takes each second.
        public_pem: verifies tokens of the local key; None with an identity provider.
        jwks_url, issuer, audience: of the identity provider; None without.
        data: where one-time codes for the console are; None with an identity provider.
    """

    index: int
    gateways: int
    silos: int
    host: str
    port: int
    partitions: int
    events_url: str
    views_url: str
    domain: str
    hosts: list[str]
    rate_per_s: float
    public_pem: bytes | None
    jwks_url: str | None = None
    issuer: str | None = None
    audience: str | None = None
    data: str | None = None


class GatewayActor:
    """A gateway in a Ray actor, with a socket of its own."""

    def __init__(self, config: bytes) -> None:
        collect_garbage_rarely()
        settings = msgspec.msgpack.decode(config, type=GatewayConfig)
        domain = load_domain(settings.domain)
        self._reader = ViewReader(settings.views_url, projections_of(domain))
        self._log = LogReader(partial(PostgresEventStore.open, settings.events_url, partitions=settings.partitions))
        codes = SignInCodes(Path(settings.data)) if settings.data is not None else None
        self._metrics = Metrics(f"gateway/{settings.index}")
        transport = RayTransport()
        client = Client(transport)
        # Queries need its tokens, also when nobody sends a command.
        self._meeting = asyncio.get_running_loop().create_task(client.meet(math.inf))
        self._tail = Tail(self._log, lambda: client.tokens, SiloNews(settings.silos).wait)
        self._door = create_app(
            domain,
            client,
            self._reader,
            self._log,
            self._tail,
            RayCluster(transport, settings),
            Steering(settings.views_url, projections_of(domain)),
            _verifier(settings),
            codes=codes,
            hosts=settings.hosts,
            limits=Limits(rate_per_s=settings.rate_per_s),
            metrics=self._metrics,
        )
        self._port = settings.port
        self._server = HttpServer(self._door, settings.host, settings.port)
        self._work = self._server.start()
        self._work.add_done_callback(end_process_with)

    async def seat(self) -> bytes:
        """MessagePack of its node, process id and port; an answer means that it serves."""
        return msgspec.msgpack.encode((address_of_node(), os.getpid(), self._port))

    async def exposition(self) -> str:
        """What this gateway counts, as Prometheus text."""
        return self._metrics.exposition()

    async def stop(self) -> None:
        """Take no more requests, and let those that are under way end."""
        self._work.remove_done_callback(end_process_with)
        self._meeting.cancel()
        await self._tail.close()
        self._door.close()
        await self._server.stop()
        await self._reader.close()
        await self._log.close()


class RayCluster:
    """The processes of a service, asked by Ray calls. Handles of gateways are looked up only while none is known."""

    def __init__(self, transport: RayTransport, asking: GatewayConfig) -> None:
        self._transport = transport
        self._silos = asking.silos
        self._gateways = asking.gateways
        self._index = asking.index
        self._handles: dict[int, ActorHandle[Any]] = {}

    async def silos(self) -> Sequence[SiloItem]:
        found = await asyncio.gather(*(self._silo(index) for index in range(self._silos)))
        return [item for item in found if item is not None]

    async def gateways(self) -> Sequence[GatewayItem]:
        found = await asyncio.gather(*(self._gateway(index) for index in range(self._gateways)))
        return [item for item in found if item is not None]

    async def _silo(self, index: int) -> SiloItem | None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                status, pid, node = await self._transport.inspect(index)
        except (Lost, NotSent, TimeoutError):
            return None
        return SiloItem.of(status, pid, node)

    async def other_expositions(self) -> Sequence[str]:
        others = (index for index in range(self._gateways) if index != self._index)
        found = await asyncio.gather(*(self._ask(index, "exposition") for index in others))
        return [text for text in found if text is not None]

    async def _gateway(self, index: int) -> GatewayItem | None:
        reply = await self._ask(index, "seat")
        if reply is None:
            return None
        node, pid, port = msgspec.msgpack.decode(reply, type=tuple[str, int, int])
        return GatewayItem(name=f"gateway/{index}", node=node, pid=pid, port=port)

    async def _ask(self, index: int, method: str) -> Any:
        """What a gateway answers; None when it does not."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                if index not in self._handles:
                    name = f"gateway/{index}"
                    self._handles[index] = await asyncio.to_thread(ray.get_actor, name, namespace=NAMESPACE)
                return await getattr(self._handles[index], method).remote()
        except (RayError, ValueError, TimeoutError):
            self._handles.pop(index, None)
            return None


class Lease:
    """Held by the process that runs a service, and gone with it: one service in a Ray cluster."""

    async def holder(self) -> int:
        """The process id of this actor; an answer means that the lease is held."""
        return os.getpid()


class ServiceRunning(Exception):
    """Another process runs a service in this Ray cluster."""


def start_ray() -> None:
    """Start a Ray of our own on this machine, which ends with this process."""
    # It would tell of its own settings, which are pinned, and of signals, which `serve` handles.
    logging.getLogger("ray").setLevel(logging.ERROR)
    with _own_signals():
        ray.init(
            address="local",
            namespace=NAMESPACE,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=False,
        )
    keep_stdout_for_data()


def enter_ray(address: str) -> None:
    """Connect to a running cluster. Raises `Unavailable` when there is none."""
    with _own_signals():
        join_ray(address)


def ray_address() -> str:
    """Where other processes of this machine find the cluster: `connect(address=…)`, or `RAY_ADDRESS`."""
    return str(ray.get_runtime_context().gcs_address)


def stop_ray() -> None:
    """Leave Ray; one of our own ends."""
    ray.shutdown()


def start_gateway(config: GatewayConfig) -> ActorHandle[Any]:
    """Start a gateway as a detached Ray actor."""
    actor = ray.remote(GatewayActor).options(
        name=f"gateway/{config.index}",
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        enable_task_events=False,
    )
    handle: ActorHandle[Any] = actor.remote(msgspec.msgpack.encode(config))  # type: ignore[assignment]
    return handle


@asynccontextmanager
async def lease() -> AsyncIterator[None]:
    """Be the one that runs a service in this cluster, until the block or this process ends.

    Raises:
        ServiceRunning: somebody else is.
    """
    try:
        held: ActorHandle[Any] = ray.remote(Lease).options(name=LEASE, namespace=NAMESPACE, num_cpus=0).remote()  # type: ignore[assignment]
        await held.holder.remote()
    except ValueError as exc:
        raise ServiceRunning("another process runs a service in this Ray cluster; stop that one first") from exc
    yield
    ray.kill(held)


async def stop_service() -> None:
    """Stop all actors of the service in order: doors first, then silos, which answer what they have."""
    for kind, method in (("gateway/", "stop"), ("silo/", "drain"), ("projection/", "stop")):
        await asyncio.gather(*(_stop(name, method) for name in _running() if name.startswith(kind)))
    await clear_away()


async def clear_away() -> None:
    """End all actors of a service, such as an earlier, killed one left in this cluster, and see that they are gone."""
    for name in _running():
        await asyncio.to_thread(_kill, name)
    gone = AsyncRetrying(
        retry=retry_if_result(bool), wait=wait_fixed(KILL_POLL_S), stop=stop_after_delay(KILL_TIMEOUT_S)
    )
    with suppress(RetryError):
        await gone(asyncio.to_thread, _running)


def _running() -> list[str]:
    """Names of all our actors, those of customers with a home of their own among them, but for the lease."""
    actors = ray.util.list_named_actors(all_namespaces=True)
    return [each["name"] for each in actors if each["namespace"] == NAMESPACE and each["name"] != LEASE]


async def _stop(name: str, method: str) -> None:
    try:
        handle = ray.get_actor(name, namespace=NAMESPACE)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await getattr(handle, method).remote()
    except ValueError:
        pass  # It has ended by itself.
    except (RayError, TimeoutError) as exc:
        log.warning("%s did not stop in order: %s", name, type(exc).__name__)
    await asyncio.to_thread(_kill, name)


def _kill(name: str) -> None:
    with suppress(ValueError):
        ray.kill(ray.get_actor(name, namespace=NAMESPACE))


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it is initialised; afterwards it is ours again. Main thread only."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _verifier(settings: GatewayConfig) -> Verifier:
    if settings.public_pem is not None:
        return local_verifier(settings.public_pem)
    return provider_verifier(settings.jwks_url or "", settings.issuer or "", settings.audience or "")
