"""Homes as Ray actors: one for each actor that has a home of its own, such as `customer/alice`."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from typing_extensions import override

from actors.domain.domain import load_domain
from actors.ray_settings import NAMESPACE
from actors.runtime.client import Client
from actors.runtime.command_id import new_command_id
from actors.runtime.home import Address, Home, HomeLost, Homes
from actors.runtime.own_home import Resident
from actors.runtime.ray_actors.cluster import address_of_node
from actors.runtime.ray_actors.transport import RayTransport
from actors.runtime.reference import DEFAULT_TIMEOUT_S
from actors.runtime.reply import reply_to
from actors.runtime.wire import CommandEnvelope
from actors.store.event_store import split_stream

OPEN_TIMEOUT_S = 30.0


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
        self._category, self._key = split_stream(settings.stream)
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

    # In the thread of the turns, or it might show the half of one.
    @ray.method(concurrency_group="silo")
    async def state(self) -> str:
        """JSON of stream, version and state, for people: it may be ahead of the log by what is being committed."""
        return self._resident.describe()

    @ray.method(concurrency_group="silo")
    async def take_turns(self, blob: bytes) -> bytes:
        """For the silo only, and so however many callers wait. See `Resident.take_turns`."""
        return self._resident.take_turns(blob)

    @ray.method(concurrency_group="silo")
    async def address(self) -> bytes:
        """MessagePack of the `Address`; an answer means that it works."""
        return msgspec.msgpack.encode(Address(os.getpid(), address_of_node()))


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


def _start_home(config: HomeConfig) -> ActorHandle[Any]:
    """Start the Ray actor of one actor. Raises `ValueError` while there is one of this name."""
    category, key = split_stream(config.stream)
    actor: Any = ray.remote(concurrency_groups={"silo": 2})(OwnActor).options(  # type: ignore[call-overload]
        name=f"{category}/{key}",
        namespace=NAMESPACE,
        num_cpus=0,
        max_restarts=0,
        max_task_retries=0,
        enable_task_events=False,
    )
    handle: ActorHandle[Any] = actor.remote(msgspec.msgpack.encode(config))
    return handle
