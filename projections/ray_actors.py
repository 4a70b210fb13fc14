"""All Ray calls of the read side are made here: projections as Ray actors, woken by silos."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from actors.domain.domain import load_domain
from actors.process import collect_garbage_rarely, end_process_with
from actors.ray_settings import NAMESPACE, pin_ray_settings
from actors.store.postgres import PostgresEventStore
from projections.projection import projections_of
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner, ProjectionStatus

pin_ray_settings()

import ray  # noqa: E402 - reads its environment while it is imported
from ray.actor import ActorHandle  # noqa: E402
from ray.exceptions import RayError  # noqa: E402

log = logging.getLogger(__name__)

# News come at once; the pause is for those that are lost.
POLL_S = 1.0
PAUSE_AFTER_LOSS_S = 0.25


class ProjectionConfig(msgspec.Struct, frozen=True):
    """What a projection actor needs to know to start, again and again.

    Attributes:
        name: of the projection in the domain.
        domain: `module:attribute` of the domain.
    """

    name: str
    silos: int
    partitions: int
    events_url: str
    views_url: str
    domain: str


class ProjectionActor:
    """A projection in a Ray actor. Two copies at once do no harm: the checkpoint lets one of them win."""

    def __init__(self, config: bytes) -> None:
        collect_garbage_rarely()
        settings = msgspec.msgpack.decode(config, type=ProjectionConfig)
        (projection,) = (each for each in projections_of(load_domain(settings.domain)) if each.name == settings.name)
        self._runner = ProjectionRunner(
            projection,
            partial(PostgresEventStore.open, settings.events_url, partitions=settings.partitions),
            partial(ReadStore.open, settings.views_url),
            SiloNews(settings.silos).wait,
        )
        self._work = asyncio.get_running_loop().create_task(self._runner.run())
        self._work.add_done_callback(end_process_with)

    @ray.method(concurrency_group="control")
    async def status(self) -> bytes:
        """MessagePack of the `ProjectionStatus` and the process id."""
        return msgspec.msgpack.encode((self._runner.status, os.getpid()))

    async def stop(self) -> None:
        """Stop between two transactions, or in one: it is then rolled back."""
        self._work.cancel()
        await asyncio.wait([self._work])


class SiloNews:
    """Waits until a silo has committed something new: one question to each silo at a time."""

    def __init__(self, silos: int) -> None:
        self._silos = range(silos)
        self._handles: dict[int, ActorHandle[Any]] = {}
        self._questions: dict[int, asyncio.Task[None]] = {}

    async def wait(self, checkpoint: Mapping[int, int]) -> None:
        """Return when a partition may be further than `checkpoint`, or after a while."""
        known = msgspec.msgpack.encode(checkpoint)
        for silo in self._silos:
            if silo not in self._questions:
                self._questions[silo] = asyncio.get_running_loop().create_task(self._ask(silo, known))
        answered, _ = await asyncio.wait(self._questions.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        self._questions = {silo: task for silo, task in self._questions.items() if task not in answered}

    async def _ask(self, silo: int, checkpoint: bytes) -> None:
        try:
            handle = self._handles.get(silo)
            if handle is None:
                handle = await asyncio.to_thread(ray.get_actor, f"silo/{silo}", namespace=NAMESPACE)
                self._handles[silo] = handle
            await handle.wait_beyond.remote(checkpoint, POLL_S)
        except (RayError, ValueError) as exc:
            log.info("silo gives no news", extra={"silo": silo, "reason": type(exc).__name__})
            self._handles.pop(silo, None)
            await asyncio.sleep(PAUSE_AFTER_LOSS_S)


def start_projection(config: ProjectionConfig) -> ActorHandle[Any]:
    """Start a projection as a detached Ray actor."""
    actor: Any = ray.remote(concurrency_groups={"control": 4})(  # type: ignore[call-overload]
        ProjectionActor
    ).options(
        name=f"projection/{config.name}",
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        enable_task_events=False,
    )
    handle: ActorHandle[Any] = actor.remote(msgspec.msgpack.encode(config))
    return handle


async def projection_status(name: str) -> tuple[ProjectionStatus, int]:
    """What a projection says of itself, and the id of its process. Raises `RayError` when it does not answer."""
    handle = await asyncio.to_thread(ray.get_actor, f"projection/{name}", namespace=NAMESPACE)
    return msgspec.msgpack.decode(await handle.status.remote(), type=tuple[ProjectionStatus, int])
