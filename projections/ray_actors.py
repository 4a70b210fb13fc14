"""All Ray calls of the read side are made here: projections as Ray actors, woken by silos."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from actors.domain.domain import load_domain
from actors.process import collect_garbage_rarely, end_process_with
from actors.ray_settings import NAMESPACE, pin_ray_settings
from actors.store.postgres import PostgresEventStore
from projections.bulk import help_to_build
from projections.errors import ViewsUnavailable
from projections.projection import AnyProjection, projections_of
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner
from projections.share import WHOLE, Share

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
        share: of the partitions, that this actor works on.
    """

    name: str
    silos: int
    partitions: int
    events_url: str
    views_url: str
    domain: str
    share: Share = WHOLE

    def projection(self) -> AnyProjection:
        """The one that it is about."""
        (found,) = (each for each in projections_of(load_domain(self.domain)) if each.name == self.name)
        return found

    async def open_log(self) -> PostgresEventStore:
        """Connect to the log."""
        return await PostgresEventStore.open(self.events_url, partitions=self.partitions)

    async def open_views(self) -> ReadStore:
        """Connect to the read database."""
        return await ReadStore.open(self.views_url)


class ProjectionActor:
    """A projection in a Ray actor. Two copies at once do no harm: the checkpoint lets one of them win."""

    def __init__(self, config: bytes) -> None:
        collect_garbage_rarely()
        settings = msgspec.msgpack.decode(config, type=ProjectionConfig)
        self._runner = ProjectionRunner(
            settings.projection(),
            settings.open_log,
            settings.open_views,
            SiloNews(settings.silos).wait,
            share=settings.share,
            helpers=partial(build_together, settings),
        )
        self._work = asyncio.get_running_loop().create_task(self._runner.run())
        self._work.add_done_callback(end_process_with)

    async def stop(self) -> None:
        """Stop between two transactions, or in one: it is then rolled back."""
        self._work.cancel()
        await asyncio.wait([self._work])


class RebuildActor:
    """Helps a projection actor to build a version, in a Ray actor that dies with it."""

    def __init__(self, config: bytes) -> None:
        collect_garbage_rarely()
        self._settings = msgspec.msgpack.decode(config, type=ProjectionConfig)

    async def build(self, version: int, goal: bytes) -> None:
        """Fill some partitions of a version up to a goal, a MessagePack of partition → position."""
        settings = self._settings
        await help_to_build(
            settings.projection(),
            version,
            msgspec.msgpack.decode(goal, type=dict[int, int]),
            settings.share,
            settings.open_log,
            settings.open_views,
        )


async def build_together(config: ProjectionConfig, version: int, goal: Mapping[int, int]) -> None:
    """Fill a version up to a goal with one helper for each CPU of the cluster.

    Raises:
        ViewsUnavailable: a helper was lost; the checkpoint tells how far they got.
    """
    cpus = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    count = max(1, min(len(goal), int(cpus)))
    helpers: list[Any] = []
    work = []
    for index in range(count):
        share = Share(index, count)
        part = {partition: goal[partition] for partition in share.partitions(len(goal))}
        settings = msgspec.msgpack.encode(msgspec.structs.replace(config, share=share))
        helper: Any = ray.remote(RebuildActor).options(num_cpus=0, enable_task_events=False)
        helpers.append(helper.remote(settings))
        work.append(helpers[-1].build.remote(version, msgspec.msgpack.encode(part)))
    try:
        await asyncio.gather(*work)
    except RayError as lost:
        raise ViewsUnavailable(f"a helper was lost: {type(lost).__name__}") from lost
    finally:
        for helper in helpers:
            ray.kill(helper)


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
    """Start a projection, or a share of it, as a detached Ray actor."""
    actor: Any = ray.remote(ProjectionActor).options(
        name=f"projection/{config.name}" + (f"/{config.share.index}" if config.share.index else ""),
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        enable_task_events=False,
    )
    handle: ActorHandle[Any] = actor.remote(msgspec.msgpack.encode(config))
    return handle
