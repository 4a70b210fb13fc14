"""All Ray calls of the write side are made here: silos and homes as Ray actors, and the way to silos."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from typing_extensions import override

from actors.domain.domain import load_domain
from actors.errors import Unavailable
from actors.process import collect_garbage_rarely, end_process_with, end_process_without
from actors.ray_settings import NAMESPACE, pin_ray_settings
from actors.runtime.client import Client
from actors.runtime.command_id import new_command_id
from actors.runtime.home import Address, Home, HomeLost, Homes
from actors.runtime.lane import Lost, NotSent
from actors.runtime.own_home import Resident
from actors.runtime.placement import OwnHomes, Placement
from actors.runtime.reference import DEFAULT_TIMEOUT_S, ActorClient
from actors.runtime.reply import reply_to
from actors.runtime.sentinel import Sentinel
from actors.runtime.silo import Silo
from actors.runtime.wire import CommandEnvelope, Layout, SiloStatus
from actors.store.postgres import PostgresEventStore

pin_ray_settings()

import ray  # noqa: E402 - reads its environment while it is imported
from ray.actor import ActorHandle  # noqa: E402
from ray.exceptions import ActorDiedError, PendingCallsLimitExceeded, RayError  # noqa: E402

log = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 30.0
MAX_PENDING_CALLS = 1_000
# A statement takes half of it at most.
MOST_SILENT_S = 20.0
END_TIMEOUT_S = 5.0
END_POLL_S = 0.05

# Why a silo starts, for people.
WITH_THE_SERVICE = "it started with the service"
AFTER_ITS_END = "its process had ended, and Ray started it anew"
AFTER_STANDING_STILL = "its process stood still, and another took its place"


class SiloConfig(msgspec.Struct, frozen=True):
    """What a silo actor needs to know to start, again and again.

    Attributes:
        events_url: PostgreSQL database of the log.
        domain: `module:attribute` of the domain.
        placement: where its actors live.
        cause: why it is started, for people.
    """

    index: int
    silos: int
    partitions: int
    events_url: str
    domain: str
    placement: Placement = Placement.AUTO
    cause: str = WITH_THE_SERVICE


class SiloActor:
    """A silo in a Ray actor. Ray may restart it, or run a second copy: the log decides which one may write.

    A silo that is deposed ends its process, whatever it might still answer.
    """

    def __init__(self, config: bytes) -> None:
        collect_garbage_rarely()
        settings = msgspec.msgpack.decode(config, type=SiloConfig)
        self._silo = Silo(
            settings.index,
            settings.silos,
            load_domain(settings.domain).all_deciders,
            partial(PostgresEventStore.open, settings.events_url, partitions=settings.partitions),
            own_homes=_own_homes(settings),
            cause=AFTER_ITS_END if _is_started_anew() else settings.cause,
        )
        self._work = asyncio.get_running_loop().create_task(self._silo.run())
        self._work.add_done_callback(end_process_with)
        end_process_without(self._silo.pulse, MOST_SILENT_S)

    async def execute(self, blob: bytes) -> bytes:
        """See `Silo.execute`."""
        return await self._silo.execute(blob)

    async def wait_beyond(self, positions: bytes, timeout_s: float) -> bytes:
        """See `Silo.wait_beyond`; positions are MessagePack maps."""
        known = msgspec.msgpack.decode(positions, type=dict[int, int])
        return msgspec.msgpack.encode(await self._silo.wait_beyond(known, timeout_s))

    async def layout(self) -> bytes:
        """MessagePack of the `Layout`, or of None."""
        return msgspec.msgpack.encode(self._silo.layout)

    @ray.method(concurrency_group="control")
    async def status(self) -> bytes:
        """MessagePack of the `SiloStatus`, the process id and the address of the node; answers under load too."""
        return msgspec.msgpack.encode((self._silo.status, os.getpid(), _node()))

    async def drain(self) -> None:
        """See `Silo.drain`."""
        await self._silo.drain()
        self._work.cancel()


class HomeConfig(msgspec.Struct, frozen=True):
    """What the Ray actor of one actor needs to know to start.

    Attributes:
        domain: `module:attribute` of the domain.
    """

    stream: str
    partition: int
    domain: str


class OwnActor:
    """The home of one actor: a Ray actor of its own, such as `customer/alice`.

    Its silo starts it, sends it the turns to take, closes it when it is idle, and takes it along when it dies. So it is
    there or not there as the placement has it; references (`connect`) reach the actor in either case.
    """

    def __init__(self, config: bytes) -> None:
        settings = msgspec.msgpack.decode(config, type=HomeConfig)
        self._category, _, self._key = settings.stream.partition("-")
        decider = load_domain(settings.domain).decider(self._category)
        assert decider is not None, "the silo has the same domain"  # noqa: S101
        self._resident = Resident(decider, settings.stream, settings.partition)
        self._client = Client(RayTransport())

    async def execute(
        self,
        command: str,
        data: str = "{}",
        *,
        expected_version: int | None = None,
        command_id: UUID | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,  # noqa: ASYNC109 - as in `ActorRef.execute`
        by: str = "python",
    ) -> str:
        """Send a command to this actor, by way of its silo as everybody does, and wait until it is durable.

        Args:
            command, data: as over HTTP: its name, and JSON of its fields.
            expected_version, command_id, timeout: as in `ActorRef.execute`.
            by: author of the command, as the log will show it.

        Returns:
            JSON, as over HTTP.

        Raises:
            ActorsError: see `actors.errors`; each class says whether the command was written.
        """
        envelope = CommandEnvelope(
            category=self._category,
            key=self._key,
            command=command,
            data=data,
            command_id=command_id or new_command_id(),
            expected_version=expected_version,
            deadline=time.time() + timeout,
            by=by,
            request_id="",
        )
        reply = reply_to(envelope, await self._client.submit(envelope), self._client)
        return msgspec.json.encode(reply).decode()

    async def state(self) -> str:
        """JSON of stream, version and state, for people: it may be ahead of the log by what is being committed."""
        return self._resident.describe()

    async def take_turns(self, blob: bytes) -> bytes:
        """For the silo only. See `Resident.take_turns`."""
        return self._resident.take_turns(blob)

    async def address(self) -> bytes:
        """MessagePack of the `Address`; an answer means that it works."""
        return msgspec.msgpack.encode(Address(os.getpid(), _node()))


class RayHome(Home):
    """The Ray actor of one actor, as its silo holds it."""

    def __init__(self, actor: ActorHandle[Any], address: Address) -> None:
        self._actor = actor
        self._address = address

    @property
    @override
    def address(self) -> Address:
        return self._address

    @override
    async def take_turns(self, blob: bytes) -> bytes:
        try:
            reply: bytes = await self._actor.take_turns.remote(blob)
        except RayError as exc:
            raise HomeLost(type(exc).__name__) from exc
        return reply

    @override
    async def close(self) -> None:
        with suppress(RayError):
            await asyncio.to_thread(ray.kill, self._actor)


class RayHomes(Homes):
    """Homes in Ray actors, which die with the silo that opens them."""

    def __init__(self, domain: str) -> None:
        self._domain = domain

    @override
    async def open(self, stream: str, partition: int) -> Home:
        config = HomeConfig(stream, partition, self._domain)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                # A named actor is made with a call to the GCS, which blocks while that is away.
                actor = await asyncio.to_thread(_start_home, config)
                address = msgspec.msgpack.decode(await actor.address.remote(), type=Address)
        except (RayError, TimeoutError, ValueError) as exc:
            raise HomeLost(f"{type(exc).__name__}: {exc}") from exc
        return RayHome(actor, address)


class RayTransport:
    """Bytes to silos by Ray calls. Handles are cached; a name is looked up only while none is known."""

    def __init__(self) -> None:
        self._handles: dict[int, ActorHandle[Any]] = {}
        self._lookups: dict[int, asyncio.Task[ActorHandle[Any]]] = {}

    async def execute(self, silo: int, blob: bytes) -> bytes:
        handle = await self._handle(silo)
        try:
            reply: bytes = await handle.execute.remote(blob)
        except PendingCallsLimitExceeded as exc:
            raise NotSent(f"too many calls to silo/{silo} are under way") from exc
        except RayError as exc:
            raise self._lost(silo, exc) from exc
        return reply

    async def layout(self) -> Layout | None:
        handle = await self._handle(0)
        try:
            reply = await handle.layout.remote()
        except RayError as exc:
            raise self._lost(0, exc) from exc
        return msgspec.msgpack.decode(reply, type=Layout | None)

    async def status(self, silo: int) -> SiloStatus:
        status, _, _ = await self.inspect(silo)
        return status

    async def inspect(self, silo: int) -> tuple[SiloStatus, int, str]:
        """The status of a silo, the id of its process and its node. Raises `Lost` when it does not answer."""
        handle = await self._handle(silo)
        try:
            reply = await handle.status.remote()
        except RayError as exc:
            raise self._lost(silo, exc) from exc
        return msgspec.msgpack.decode(reply, type=tuple[SiloStatus, int, str])

    async def wait_beyond(self, silo: int, positions: Mapping[int, int], timeout_s: float) -> Mapping[int, int]:
        """See `Silo.wait_beyond`. Raises `Lost` when the silo does not answer."""
        handle = await self._handle(silo)
        try:
            reply = await handle.wait_beyond.remote(msgspec.msgpack.encode(positions), timeout_s)
        except RayError as exc:
            raise self._lost(silo, exc) from exc
        return msgspec.msgpack.decode(reply, type=dict[int, int])

    def _lost(self, silo: int, exc: RayError) -> Lost:
        if isinstance(exc, ActorDiedError):
            self._handles.pop(silo, None)
        return Lost(f"silo/{silo} gave no answer: {type(exc).__name__}")

    async def _handle(self, silo: int) -> ActorHandle[Any]:
        known = self._handles.get(silo)
        if known is not None:
            return known
        lookup = self._lookups.get(silo)
        if lookup is None:
            lookup = asyncio.get_running_loop().create_task(_look_up(f"silo/{silo}"))
            self._lookups[silo] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop(silo, None))
        self._handles[silo] = await asyncio.shield(lookup)
        return self._handles[silo]


async def _look_up(name: str) -> ActorHandle[Any]:
    """A handle by name. Blocks in Ray while the GCS is away, so it runs beside the event loop."""
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            handle: ActorHandle[Any] = await asyncio.to_thread(ray.get_actor, name, namespace=NAMESPACE)
    except ValueError as exc:
        raise NotSent(f"{name} is not running") from exc
    except TimeoutError as exc:
        raise NotSent("Ray does not answer") from exc
    return handle


def start_silo(config: SiloConfig) -> ActorHandle[Any]:
    """Start a silo as a detached Ray actor, or find the one of this name that is there."""
    actor: Any = ray.remote(concurrency_groups={"control": 4})(  # type: ignore[call-overload]
        SiloActor
    ).options(
        name=f"silo/{config.index}",
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_pending_calls=MAX_PENDING_CALLS,
        enable_task_events=False,
    )
    handle: ActorHandle[Any] = actor.remote(msgspec.msgpack.encode(config))
    return handle


async def watch_silo(config: SiloConfig) -> None:
    """Probe a silo until cancelled, and start it anew when it stands still; see `Sentinel`."""
    transport = RayTransport()
    await Sentinel(
        f"silo/{config.index}",
        lambda: transport.inspect(config.index),
        lambda: asyncio.to_thread(_replace_silo, config),
    ).run()


def _replace_silo(config: SiloConfig) -> None:
    """Put a silo out and start it anew under its name, also while its process cannot be reached."""
    name = f"silo/{config.index}"
    deadline = time.monotonic() + END_TIMEOUT_S
    try:
        with suppress(ValueError):
            while time.monotonic() < deadline:
                # A name is free again once Ray has taken note of the end; the process itself may end later.
                ray.kill(ray.get_actor(name, namespace=NAMESPACE))
                time.sleep(END_POLL_S)
        start_silo(msgspec.structs.replace(config, cause=AFTER_STANDING_STILL))
    except RayError:
        log.exception("a silo could not be replaced", extra={"silo": name})


def _own_homes(settings: SiloConfig) -> OwnHomes:
    cpus = ray.cluster_resources().get("CPU", 1.0)  # type: ignore[no-untyped-call]
    most = math.ceil(settings.placement.homes_per_cpu * cpus / settings.silos)
    return OwnHomes(settings.placement, RayHomes(settings.domain), most)


def _start_home(config: HomeConfig) -> ActorHandle[Any]:
    """Start the Ray actor of one actor. Raises `ValueError` while there is one of this name."""
    category, _, key = config.stream.partition("-")
    actor = ray.remote(OwnActor).options(
        name=f"{category}/{key}",
        namespace=NAMESPACE,
        num_cpus=0,
        max_restarts=0,
        max_task_retries=0,
        enable_task_events=False,
    )
    handle: ActorHandle[Any] = actor.remote(msgspec.msgpack.encode(config))  # type: ignore[assignment]
    return handle


def join_ray(address: str | None) -> None:
    """Connect this process to a running Ray cluster, unless it is connected.

    Raises:
        Unavailable: no cluster can be found there.
    """
    if ray.is_initialized():
        return
    try:
        ray.init(address=address or "auto", namespace=NAMESPACE, configure_logging=False, log_to_driver=False)
    except ConnectionError as exc:
        raise Unavailable(f"no Ray cluster at {address or 'this machine'}: {exc}") from exc


@asynccontextmanager
async def connect(address: str | None = None, *, by: str = "python") -> AsyncIterator[ActorClient]:
    """A client of the service that runs in this Ray cluster.

    Args:
        address: of the Ray cluster; None = the one this process belongs to, or the one on this machine.
        by: author of the commands, as the log will show it.

    Raises:
        Unavailable: there is no such cluster, or no service runs in it.
    """
    await asyncio.to_thread(join_ray, address)
    client = Client(RayTransport())
    await client.start()
    yield ActorClient(client, by)


def _is_started_anew() -> bool:
    """Whether Ray has started this actor before."""
    anew: bool = ray.get_runtime_context().was_current_actor_reconstructed
    return anew


def _node() -> str:
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return address
