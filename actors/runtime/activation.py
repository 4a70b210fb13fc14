"""Actors in memory."""

from __future__ import annotations

import pickle
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, Generic, TypeVar
from uuid import UUID

from actors.domain.decider import AnyDecider, Event
from actors.domain.upcast import UnreadableEvent
from actors.runtime import recent_ids
from actors.store.event_store import NewEvent, RecordedEvent, Snapshot

# More than one, so that those are made up for which had work under way when they were too many.
LOOK_AT_FOR_EACH = 8

W = TypeVar("W")


class UnreadableSnapshot(Exception):
    """A snapshot is not what its schema promises; the events will do."""


class Activation(Generic[W]):
    """One actor in memory: its state, its version, its latest command ids.

    Commands wait in its mailbox while it is being loaded, and while its turns are taken elsewhere.

    Attributes:
        version: of the state, which may be ahead of the log while commands are being committed.
        kept: version of the latest snapshot, 0 = there is none.
        mailbox: what waits for its turn, oldest first; None while turns can be taken at once.
        unsettled: commands whose fate the journal has not told yet.
        used_at: when a command last looked for it; see `Activations`.
        recent: latest command ids; see `recent_ids`.
    """

    __slots__ = (
        *("decider", "kept", "mailbox", "partition", "recent", "state", "stream"),
        *("unsettled", "used_at", "version"),
    )

    def __init__(self, decider: AnyDecider, stream: str, partition: int) -> None:
        self.decider = decider
        self.stream = stream
        self.partition = partition
        self.state: Any = decider.initial
        self.version = 0
        self.kept = 0
        self.mailbox: deque[W] | None = deque()
        self.unsettled = 0
        self.used_at = 0.0
        self.recent = recent_ids.NONE

    @property
    def rests(self) -> bool:
        """Whether nothing is under way, so that its state is what the log says, and it may go to sleep."""
        return self.mailbox is None and not self.unsettled

    def restore(self, snapshot: Snapshot) -> None:
        """Take the state from a snapshot.

        Raises:
            UnreadableSnapshot: nothing was taken; the events are needed from the first one.
        """
        try:
            self.state = self.decider.load_state(snapshot.state)
        except Exception as exc:
            raise UnreadableSnapshot(f"snapshot of {self.stream} at version {snapshot.version}") from exc
        self.version = self.kept = snapshot.version
        self.recent = recent_ids.packed(snapshot.command_ids)

    def load(self, history: Sequence[RecordedEvent]) -> None:
        """Take the state further, by the next events of the stream, oldest first.

        Raises:
            UnreadableEvent: a release that knows more wrote one of them, or `evolve` has a bug.
        """
        for recorded in history:
            self.state = self._evolve(self.state, recorded)
            self.version = recorded.version
            if not recorded.ordinal:
                self._remember(recorded.command_id)

    def after(self, events: Sequence[Event]) -> Any:
        """The state that `events` would lead to; the activation stays as it is."""
        state = self.state
        for event in events:
            state = self.decider.evolve(state, event)
        return state

    def move(self, state: Any, version: int, command_id: UUID) -> None:
        """Move on to what one command led to."""
        self.state, self.version = state, version
        self._remember(command_id)

    def follow(self, events: Sequence[NewEvent]) -> None:
        """Move on to where a turn has led that was taken elsewhere.

        Raises:
            UnreadableEvent: another release took it.
        """
        state = self.state
        for event in events:
            state = self._evolve(state, event)
        self.move(state, events[-1].version, events[0].command_id)

    def dehydrate(self) -> bytes:
        """What another process of this release needs to go on from here. The state must survive pickling."""
        return pickle.dumps((self.state, self.version, self.recent))

    def rehydrate(self, blob: bytes) -> None:
        """Go on from where `dehydrate` was."""
        # The bytes come from our own silo, by way of Ray, which pickles too.
        self.state, self.version, self.recent = pickle.loads(blob)  # noqa: S301

    def knows(self, command_id: UUID) -> bool:
        """Whether one of the latest commands had this id."""
        return recent_ids.hold(self.recent, command_id)

    def read(self, recorded: RecordedEvent | NewEvent) -> Event:
        """An event of this actor as the log has it. Raises `UnreadableEvent`."""
        try:
            event: Event = self.decider.read_event(recorded.type, recorded.data)
        except UnreadableEvent as exc:
            where = f"{recorded.type} at version {recorded.version} of {self.stream}"
            raise UnreadableEvent(f"{where} cannot be read: {exc}") from exc
        return event

    def _evolve(self, state: Any, recorded: RecordedEvent | NewEvent) -> Any:
        event = self.read(recorded)
        try:
            return self.decider.evolve(state, event)
        except Exception as bug:
            raise UnreadableEvent(
                f"{recorded.type} at version {recorded.version} of {self.stream} raised {type(bug).__name__}"
            ) from bug

    def _remember(self, command_id: UUID) -> None:
        self.recent = recent_ids.with_another(self.recent, command_id)


class Activations(Generic[W]):
    """The activations of a silo by stream, the longest unused first; a bounded number of them.

    Args:
        bound: how many may be awake.
        now: a clock in seconds, for `used_at`.
        asleep: told of each activation that is put to sleep; its state is what the log says.
    """

    def __init__(self, bound: int, now: Callable[[], float], asleep: Callable[[Activation[W]], None]) -> None:
        self.bound = bound
        self._now = now
        self._asleep = asleep
        self._by_stream: OrderedDict[str, Activation[W]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_stream)

    def __iter__(self) -> Iterator[Activation[W]]:
        return iter(self._by_stream.values())

    def find(self, stream: str) -> Activation[W] | None:
        """The activation of a stream, which counts as a use; None when it is asleep."""
        activation = self._by_stream.get(stream)
        if activation is not None:
            activation.used_at = self._now()
            self._by_stream.move_to_end(stream)
        return activation

    def add(self, activation: Activation[W]) -> None:
        """Hold a new activation; the longest unused go to sleep when there are too many."""
        activation.used_at = self._now()
        self._by_stream[activation.stream] = activation
        self.deactivate_surplus(LOOK_AT_FOR_EACH)

    def drop(self, activation: Activation[W]) -> None:
        """Forget an activation; the next command loads it anew. A newer one of the same stream stays."""
        if self._by_stream.get(activation.stream) is activation:
            del self._by_stream[activation.stream]

    def deactivate_surplus(self, most: int) -> int:
        """Put those beyond the bound to sleep, of so many that are the longest unused; returns how many went."""
        surplus = len(self) - self.bound
        if surplus <= 0:
            return 0
        resting = (activation for activation in islice(self._by_stream.values(), most) if activation.rests)
        return self._deactivate(islice(resting, surplus))

    def deactivate_unused(self, since: float, most: int) -> int:
        """Put those to sleep that nobody has used since then, at most so many; returns how many went."""
        unused = takewhile(lambda activation: activation.used_at < since, self._by_stream.values())
        return self._deactivate(islice((activation for activation in unused if activation.rests), most))

    def _deactivate(self, activations: Iterable[Activation[W]]) -> int:
        sleepers = list(activations)
        for activation in sleepers:
            del self._by_stream[activation.stream]
            self._asleep(activation)
        return len(sleepers)
