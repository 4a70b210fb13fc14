"""Silos as Ray actors: started, watched, and replaced when they stand still."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.domain.domain import load_domain
from actors.process import collect_garbage_rarely, end_process_with, end_process_without
from actors.ray_settings import NAMESPACE
from actors.runtime.placement import OwnHomes, Placement
from actors.runtime.ray_actors.cluster import address_of_node
from actors.runtime.ray_actors.homes import RayHomes
from actors.runtime.ray_actors.transport import RayTransport
from actors.runtime.sentinel import Sentinel
from actors.runtime.silo import PROMPT_S, Silo
from actors.store.postgres import PostgresEventStore

log = logging.getLogger(__name__)

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
        generation: of the service.
        placement: where its actors live.
        cause: why it is started, for people.
    """

    index: int
    silos: int
    partitions: int
    events_url: str
    domain: str
    generation: int
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
            settings.generation,
            own_homes=_own_homes(settings),
            cause=AFTER_ITS_END if _is_started_anew() else settings.cause,
        )
        self._work = asyncio.get_running_loop().create_task(self._silo.run())
        self._work.add_done_callback(end_process_with)
        end_process_without(self._silo.pulse, MOST_SILENT_S)

    async def execute(self, blob: bytes) -> bytes:
        """See `Silo.execute`."""
        return await self._silo.execute(blob, PROMPT_S)

    async def rest(self, ticket: int) -> bytes:
        """See `Silo.rest`."""
        return await self._silo.rest(ticket, PROMPT_S)

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
        return msgspec.msgpack.encode((self._silo.status, os.getpid(), address_of_node()))

    @ray.method(concurrency_group="control")
    async def drain(self) -> None:
        """See `Silo.drain`."""
        # Each concurrency group has a thread and an event loop of its own; the silo works in the one it began in.
        draining = asyncio.run_coroutine_threadsafe(self._drain(), self._work.get_loop())
        await asyncio.wrap_future(draining)

    async def _drain(self) -> None:
        await self._silo.drain()
        self._work.cancel()


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


def _is_started_anew() -> bool:
    """Whether Ray has started this actor before."""
    anew: bool = ray.get_runtime_context().was_current_actor_reconstructed
    return anew
