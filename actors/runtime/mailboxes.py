"""Commands find their actor: awake, and the turn is taken at once; asleep, and they wait while it is loaded.

All actors that one batch wakes are loaded with one query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from actors.domain.decider import AnyDecider
from actors.runtime.activation import Activation, Activations, UnreadableEvent
from actors.runtime.delivery import Delivery, Entry
from actors.runtime.journal import Journal
from actors.runtime.ownership import Ownership
from actors.runtime.turn import take_turn
from actors.runtime.wire import Invalid, NotNow, Outcome
from actors.store.event_store import EventStore, RecordedEvent, StoreUnavailable, partition_of, stream_name


class Mailboxes:
    """The activations of a silo and what waits for them.

    Args:
        silo: name that goes into the metadata of events.
        deciders: by category.
        bound: how many actors stay in memory.
    """

    def __init__(
        self, silo: str, deciders: Mapping[str, AnyDecider], ownership: Ownership, journal: Journal, bound: int
    ) -> None:
        self._silo = silo
        self._deciders = deciders
        self._ownership = ownership
        self._journal = journal
        self._activations: Activations[Delivery] = Activations(bound)
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
        self._journal.add(Entry(delivery, activation, turn))

    async def _wake(self, store: EventStore, asleep: Collection[Activation[Delivery]]) -> None:
        session = self._ownership.session
        try:
            histories = await store.read_streams([activation.stream for activation in asleep])
        except StoreUnavailable as exc:
            self._turn_away(asleep, f"the log cannot be read: {exc}")
            return
        if self._ownership.session is not session:
            self._turn_away(asleep, "its partition was lost while the actor was loaded")
            return
        for activation in asleep:
            self._start(activation, histories.get(activation.stream, ()))

    def _start(self, activation: Activation[Delivery], history: Sequence[RecordedEvent]) -> None:
        try:
            activation.load(history)
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
