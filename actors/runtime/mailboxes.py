"""Commands find their actor: awake, and the turn is taken at once; asleep, and they wait while it is loaded.

All actors that one batch wakes are loaded with one query. For an actor with a home of its own, the commands that have
gathered are sent there together. A command stays in its mailbox until its turn has been taken, wherever that is: so
when a home is lost, the silo goes on with the same commands in the same order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from actors.domain.decider import AnyDecider
from actors.domain.upcast import UnreadableEvent
from actors.runtime.activation import Activation, Activations, UnreadableSnapshot
from actors.runtime.delivery import Delivery, Entry
from actors.runtime.home import HomeLost
from actors.runtime.journal import Journal
from actors.runtime.own_home import OwnHome
from actors.runtime.ownership import Ownership
from actors.runtime.placement import OwnHomes
from actors.runtime.snapshots import Snapshots
from actors.runtime.turn import Turn, take_turn
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
MAX_ROUND_COMMANDS = 256
MAX_ROUND_BYTES = 1024 * 1024


class Mailboxes:
    """The activations of a silo and what waits for them.

    Args:
        silo: name that goes into the metadata of events.
        deciders: by category.
        activations: the actors in memory.
        snapshots: says when the state of one should be kept.
        own_homes: of the actors whose turns are not taken here.
        now: Unix time in seconds, for deadlines.
    """

    def __init__(
        self,
        silo: str,
        deciders: Mapping[str, AnyDecider],
        ownership: Ownership,
        journal: Journal,
        activations: Activations[Delivery],
        snapshots: Snapshots,
        own_homes: OwnHomes,
        now: Callable[[], float],
    ) -> None:
        self._silo = silo
        self._deciders = deciders
        self._ownership = ownership
        self._journal = journal
        self._activations = activations
        self._snapshots = snapshots
        self._own_homes = own_homes
        self._now = now
        self._work: set[asyncio.Task[None]] = set()
        self._failures: asyncio.Queue[BaseException] = asyncio.Queue()

    def __len__(self) -> int:
        return len(self._activations)

    def deliver(self, store: EventStore, deliveries: Iterable[Delivery]) -> None:
        """Take the turns of `deliveries` in their order, for actors that sleep as soon as they are awake."""
        asleep, elsewhere = [], []
        for delivery in deliveries:
            activation = self._find(store, delivery)
            if activation is None:
                continue
            if activation.mailbox is None:
                if not self._own_homes.lives_there(activation, 1):
                    self._turn(activation, delivery)
                    continue
                activation.mailbox = deque()
                elsewhere.append(activation)
            elif not activation.mailbox:
                asleep.append(activation)
            activation.mailbox.append(delivery)
        if asleep:
            self._begin(self._wake(store, asleep))
        for activation in elsewhere:
            self._begin(self._empty(activation))

    async def run(self) -> NoReturn:
        """Raise what work for an actor may have ended with, which nobody foresaw.

        Nobody answers then what waits in its mailbox. To load it anew would be right only if the log had all of its
        commands; so the silo has to end, and the next one asks the log.
        """
        raise await self._failures.get()

    def drop(self, entries: Iterable[Entry]) -> list[Delivery]:
        """Forget the actors that these entries touched: their state is ahead of the log.

        Returns:
            What waits in their mailboxes.
        """
        behind: list[Delivery] = []
        for entry in entries:
            self._activations.drop(entry.activation)
            behind += _clear_out(entry.activation)
        return behind

    def clear(self, reason: str) -> None:
        """Forget all actors, and turn away what waits in their mailboxes."""
        self._turn_away(list(self._activations), reason)

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
        if activation.mailbox and self._own_homes.lives_there(activation, len(activation.mailbox)):
            self._begin(self._empty(activation))
            return
        waiting, activation.mailbox = activation.mailbox or (), None
        now = self._now()
        for delivery in waiting:
            if not delivery.refuse_late(now):
                self._turn(activation, delivery)

    async def _empty(self, activation: Activation[Delivery]) -> None:
        """Have the turns taken of what waits in a mailbox, round by round, until nothing does."""
        while activation.mailbox:
            home = await self._own_homes.of(activation)
            waiting = self._next_round(activation)
            if home is not None and waiting:
                await self._take_turns_there(home, activation, waiting)
                continue
            for delivery in waiting:
                activation.mailbox.popleft()
                self._turn(activation, delivery)
        activation.mailbox = None

    def _next_round(self, activation: Activation[Delivery]) -> list[Delivery]:
        """The first commands of a mailbox, without those that are too late; they stay in it."""
        assert activation.mailbox is not None, "it is being emptied"  # noqa: S101
        now, size = self._now(), 0
        waiting: list[Delivery] = []
        while activation.mailbox and len(waiting) < MAX_ROUND_COMMANDS and size < MAX_ROUND_BYTES:
            delivery = activation.mailbox.popleft()
            if not delivery.refuse_late(now):
                waiting.append(delivery)
                size += len(delivery.envelope.data)
        activation.mailbox.extendleft(reversed(waiting))
        return waiting

    async def _take_turns_there(
        self, home: OwnHome, activation: Activation[Delivery], waiting: Sequence[Delivery]
    ) -> None:
        try:
            turns = await home.take_turns(activation, [delivery.envelope for delivery in waiting], self._silo)
            if activation.mailbox:  # Otherwise it was dropped meanwhile, and so were these turns.
                self._follow(activation, waiting, turns)
        except (HomeLost, UnreadableEvent) as lost:
            log.warning("lost the home of an actor", extra={"stream": activation.stream, "reason": str(lost)})
            self._own_homes.give_up(activation, home)

    def _follow(self, activation: Activation[Delivery], waiting: Sequence[Delivery], turns: Sequence[Turn]) -> None:
        assert activation.mailbox is not None, "it is being emptied"  # noqa: S101
        for delivery, turn in zip(waiting, turns, strict=True):
            if turn.events:
                activation.follow(turn.events)
            activation.mailbox.popleft()
            self._journal.add(Entry(delivery, activation, turn, self._snapshots.due(activation)))

    def _turn_away(self, activations: Iterable[Activation[Delivery]], reason: str) -> None:
        for activation in activations:
            self._activations.drop(activation)
            for delivery in _clear_out(activation):
                delivery.answer(NotNow(reason))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failures.put_nowait(failure)


def _clear_out(activation: Activation[Delivery]) -> Iterable[Delivery]:
    """What waits in a mailbox; whoever works on it finds nothing more there."""
    if activation.mailbox is None:
        return ()
    waiting, activation.mailbox = activation.mailbox, deque()
    return waiting
