"""Commands find their actor: awake, and the turn is taken at once; asleep, and they wait while it is loaded.

All actors that one batch wakes are loaded with one query.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping

from actors.domain.decider import AnyDecider
from actors.domain.upcast import UnreadableEvent
from actors.runtime.activation import Activation, Activations, UnreadableSnapshot
from actors.runtime.delivery import Delivery, Entry
from actors.runtime.journal import Journal
from actors.runtime.ownership import Ownership
from actors.runtime.snapshots import Snapshots
from actors.runtime.turn import take_turn
from actors.runtime.wire import Invalid, NotNow, Outcome
from actors.store.event_store import (
    EventStore,
    History,
    StoreUnavailable,
    WriteSession,
    partition_of,
    stream_name,
)

log = logging.getLogger(__name__)

NO_HISTORY = History(None, ())
NO_SCHEMA = ""
EVENTS_AT_ONCE = 200


class Mailboxes:
    """The activations of a silo and what waits for them.

    Args:
        silo: name that goes into the metadata of events.
        deciders: by category.
        activations: the actors in memory.
        snapshots: says when the state of one should be kept.
    """

    def __init__(
        self,
        silo: str,
        deciders: Mapping[str, AnyDecider],
        ownership: Ownership,
        journal: Journal,
        activations: Activations[Delivery],
        snapshots: Snapshots,
    ) -> None:
        self._silo = silo
        self._deciders = deciders
        self._ownership = ownership
        self._journal = journal
        self._activations = activations
        self._snapshots = snapshots
        self._loads: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._activations)

    def deliver(self, store: EventStore, deliveries: Iterable[Delivery]) -> None:
        """Take the turns of `deliveries` in their order, for actors that sleep as soon as they are awake."""
        asleep = []
        for delivery in deliveries:
            activation = self._find(store, delivery)
            if activation is None:
                continue
            if activation.mailbox is None:
                self._turn(activation, delivery)
                continue
            if not activation.mailbox:
                asleep.append(activation)
            activation.mailbox.append(delivery)
        if asleep:
            load = asyncio.get_running_loop().create_task(self._wake(store, asleep))
            self._loads.add(load)
            load.add_done_callback(self._loads.discard)

    def drop(self, entries: Iterable[Entry]) -> None:
        """Forget the actors that these entries touched: their state is ahead of the log."""
        for entry in entries:
            self._activations.drop(entry.activation)

    def clear(self) -> None:
        """Forget all actors."""
        self._activations.clear()

    def _find(self, store: EventStore, delivery: Delivery) -> Activation[Delivery] | None:
        envelope = delivery.envelope
        stream = stream_name(envelope.category, envelope.key)
        activation = self._activations.find(stream)
        if activation is not None:
            return activation
        refusal = self._refuse(store, envelope.category, stream)
        if refusal is not None:
            delivery.answer(refusal)
            return None
        partition = partition_of(stream, store.info.partitions)
        activation = Activation(self._deciders[envelope.category], stream, partition)
        self._activations.add(activation)
        return activation

    def _refuse(self, store: EventStore, category: str, stream: str) -> Outcome | None:
        if category not in self._deciders:
            return Invalid(f"this service has no actors of kind {category!r}")
        session = self._ownership.session
        if session is None or partition_of(stream, store.info.partitions) not in session.epochs:
            return NotNow(f"{stream} does not live in {self._silo}")
        return None

    def _turn(self, activation: Activation[Delivery], delivery: Delivery) -> None:
        turn = take_turn(activation, delivery.envelope, self._silo)
        self._journal.add(Entry(delivery, activation, turn, self._snapshots.due(activation)))

    async def _wake(
        self, store: EventStore, asleep: Collection[Activation[Delivery]], *, use_snapshots: bool = True
    ) -> None:
        session = self._ownership.session
        schemas = {each.stream: each.decider.state_schema if use_snapshots else NO_SCHEMA for each in asleep}
        try:
            histories = await store.read_histories(schemas)
        except StoreUnavailable as exc:
            self._turn_away(asleep, f"the log cannot be read: {exc}")
            return
        unloaded = await self._load(session, asleep, histories)
        if unloaded:
            await self._wake(store, unloaded, use_snapshots=False)

    async def _load(
        self,
        session: WriteSession | None,
        asleep: Collection[Activation[Delivery]],
        histories: Mapping[str, History],
    ) -> list[Activation[Delivery]]:
        """Start actors with what was read of them; returns those whose snapshot cannot be read.

        The turns of others come between, because a batch may wake many actors with many events.
        """
        unloaded = []
        events = 0
        for activation in asleep:
            history = histories.get(activation.stream, NO_HISTORY)
            events += len(history.events)
            if events > EVENTS_AT_ONCE:
                events = 0
                await asyncio.sleep(0)
            if self._ownership.session is not session:
                self._turn_away([activation], "its partition was lost while the actor was loaded")
                continue
            try:
                self._start(activation, history)
            except UnreadableSnapshot as exc:
                log.warning("snapshot passed over", extra={"silo": self._silo, "reason": str(exc)}, exc_info=True)
                unloaded.append(activation)
        return unloaded

    def _start(self, activation: Activation[Delivery], history: History) -> None:
        try:
            if history.snapshot is not None:
                activation.restore(history.snapshot)
            activation.load(history.events)
        except UnreadableEvent as exc:
            self._turn_away([activation], str(exc))
            return
        waiting, activation.mailbox = activation.mailbox or (), None
        for delivery in waiting:
            self._turn(activation, delivery)

    def _turn_away(self, activations: Iterable[Activation[Delivery]], reason: str) -> None:
        for activation in activations:
            self._activations.drop(activation)
            for delivery in activation.mailbox or ():
                delivery.answer(NotNow(reason))
