"""The way to silos: bytes by Ray calls."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, PendingCallsLimitExceeded, RayError

from actors.ray_settings import NAMESPACE
from actors.runtime.lane import Lost, NotSent, Unreadable
from actors.runtime.wire import Layout, SiloStatus

LOOKUP_TIMEOUT_S = 5.0


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

    async def rest(self, silo: int, ticket: int) -> bytes:
        handle = await self._handle(silo)
        try:
            reply: bytes = await handle.rest.remote(ticket)
        except RayError as exc:
            raise self._lost(silo, exc) from exc
        return reply

    async def layout(self) -> Layout | None:
        handle = await self._handle(0)
        try:
            reply = await handle.layout.remote()
        except RayError as exc:
            raise self._lost(0, exc) from exc
        return _decoded(reply, Layout | None)

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
        return _decoded(reply, tuple[SiloStatus, int, str])

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


def _decoded(reply: bytes, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(reply, type=kind)
    except msgspec.DecodeError as exc:
        raise Unreadable from exc


async def _look_up(name: str) -> ActorHandle[Any]:
    """A handle by name. Blocks in Ray while the GCS is away, so it runs beside the event loop."""
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            handle: ActorHandle[Any] = await asyncio.to_thread(ray.get_actor, name, namespace=NAMESPACE)
    except ValueError as exc:
        raise NotSent(f"{name} is not running") from exc
    except TimeoutError as exc:
        raise NotSent("Ray does not answer") from exc
    except RayError as exc:
        # After a restart of the GCS that has lost its state, for example.
        raise NotSent(f"Ray cannot find {name}: {type(exc).__name__}") from exc
    return handle
