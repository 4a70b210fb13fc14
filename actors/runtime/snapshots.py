"""Keeps states, so that long streams are not read from their beginning: in the background, and only what the log has.

A state is taken with a turn, as a reference, because states do not change; and it is written after the journal has
answered that turn. So a snapshot never holds what the log does not. A silo that was deposed meanwhile may still write
one: it is true all the same, for the log forgets nothing, and a newer one stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NoReturn

from actors.domain.decider import AnyDecider
from actors.runtime import recent_ids
from actors.runtime.activation import Activation
from actors.store.event_store import EventStore, Snapshot, StoreError

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_SNAPSHOTS = 200
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Moment:
    """An activation as it was at a version."""

    decider: AnyDecider
    stream: str
    version: int
    state: Any
    recent: bytes

    def snapshot(self) -> Snapshot:
        """Raises whatever the domain's types may raise when a state is written as JSON."""
        state = self.decider.dump_state(self.state)
        return Snapshot(self.stream, self.version, self.decider.state_schema, state, recent_ids.unpacked(self.recent))


class Snapshots:
    """What waits to be kept. All of it may be lost.

    Args:
        silo: name for the log of messages.
        every: how many events of a stream make a snapshot worth its price.
        on_sleep: how many do when the actor goes to sleep.
    """

    def __init__(self, silo: str, every: int, on_sleep: int) -> None:
        self._silo = silo
        self._every = every
        self._on_sleep = on_sleep
        self._waiting: OrderedDict[str, Moment] = OrderedDict()
        self._filled = asyncio.Event()

    def due(self, activation: Activation[Any]) -> Moment | None:
        """The present moment of an activation when it should be kept. Its state may be ahead of the log."""
        if activation.version - activation.kept < self._every:
            return None
        return _moment(activation)

    def asleep(self, activation: Activation[Any]) -> None:
        """Keep the state of an activation that goes to sleep. It is what the log says."""
        if activation.version - activation.kept >= self._on_sleep:
            self.keep(_moment(activation))

    def keep(self, moment: Moment) -> None:
        """Write a moment that the log has when there is time. The latest of a stream counts."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting[moment.stream] = moment
            self._filled.set()

    async def run(self, store: EventStore) -> NoReturn:
        """Write what waits, for ever, one batch after the other. What cannot be written is forgotten."""
        while True:
            await self._filled.wait()
            batch = await self._batch()
            try:
                await store.write_snapshots(batch)
            except StoreError as trouble:
                log.warning("lost snapshots", extra={"silo": self._silo, "count": len(batch), "reason": str(trouble)})

    async def _batch(self) -> list[Snapshot]:
        batch: dict[str, Snapshot] = {}
        size = 0
        while self._waiting and len(batch) < MAX_SNAPSHOTS and size < MAX_BYTES:
            _, moment = self._waiting.popitem(last=False)
            try:
                snapshot = moment.snapshot()
            except Exception:
                log.warning("state cannot be kept", extra={"stream": moment.stream}, exc_info=True)
                continue
            batch[snapshot.stream] = snapshot
            size += len(snapshot.state)
            await asyncio.sleep(0)  # turns come first
        if not self._waiting:
            self._filled.clear()
        return list(batch.values())


def _moment(activation: Activation[Any]) -> Moment:
    activation.kept = activation.version
    return Moment(activation.decider, activation.stream, activation.version, activation.state, activation.recent)
