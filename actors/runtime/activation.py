"""Actors in memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import ValidationError

from actors.domain.decider import AnyDecider, Event
from actors.store.event_store import RecordedEvent

RECENT_COMMANDS = 16

W = TypeVar("W")


class UnreadableEvent(Exception):
    """The log holds an event that this release cannot read; the actor must not be half folded."""


class Activation(Generic[W]):
    """One actor in memory: its state, its version, its latest command ids.

    While it is being loaded, commands wait in its mailbox.

    Attributes:
        version: of the state, which may be ahead of the log while commands are being committed.
        mailbox: what waits for the load, oldest first; None once the state is there.
        unsettled: commands whose fate the journal has not told yet.
    """

    __slots__ = ("_recent", "decider", "knows_all", "mailbox", "partition", "state", "stream", "unsettled", "version")

    def __init__(self, decider: AnyDecider, stream: str, partition: int) -> None:
        self.decider = decider
        self.stream = stream
        self.partition = partition
        self.state: Any = decider.initial
        self.version = 0
        self.mailbox: deque[W] | None = deque()
        self.unsettled = 0
        self.knows_all = True
        self._recent: OrderedDict[UUID, None] = OrderedDict()

    def load(self, history: Sequence[RecordedEvent]) -> None:
        """Take the state from the whole stream, oldest first.

        Raises:
            UnreadableEvent: a release that knows more wrote one of them.
        """
        for recorded in history:
            self.state = self.decider.evolve(self.state, self.read(recorded))
            self.version = recorded.version
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

    def knows(self, command_id: UUID) -> bool:
        """Whether one of the latest commands had this id."""
        return command_id in self._recent

    def read(self, recorded: RecordedEvent) -> Event:
        """An event of this actor as the log has it. Raises `UnreadableEvent`."""
        where = f"{recorded.type} at version {recorded.version} of {self.stream}"
        model = self.decider.event_types.get(recorded.type)
        if model is None:
            raise UnreadableEvent(f"this release does not know the {where}")
        try:
            event: Event = model.model_validate_json(recorded.data)
        except ValidationError as exc:
            raise UnreadableEvent(f"this release cannot read the {where}") from exc
        return event

    def _remember(self, command_id: UUID) -> None:
        self._recent[command_id] = None
        if len(self._recent) > RECENT_COMMANDS:
            self._recent.popitem(last=False)
            self.knows_all = False


class Activations(Generic[W]):
    """The activations of a silo by stream, the longest unused first; a bounded number of them."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._by_stream: OrderedDict[str, Activation[W]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_stream)

    def __iter__(self) -> Iterator[Activation[W]]:
        return iter(self._by_stream.values())

    def find(self, stream: str) -> Activation[W] | None:
        """The activation of a stream, which counts as a use; None when it is asleep."""
        activation = self._by_stream.get(stream)
        if activation is not None:
            self._by_stream.move_to_end(stream)
        return activation

    def add(self, activation: Activation[W]) -> None:
        """Hold a new activation; the longest unused idle one goes to sleep when there are too many."""
        self._by_stream[activation.stream] = activation
        if len(self._by_stream) > self._bound:
            self._evict()

    def drop(self, activation: Activation[W]) -> None:
        """Forget an activation; the next command loads it anew. A newer one of the same stream stays."""
        if self._by_stream.get(activation.stream) is activation:
            del self._by_stream[activation.stream]

    def clear(self) -> None:
        """Forget all."""
        self._by_stream.clear()

    def _evict(self) -> None:
        for activation in self._by_stream.values():
            if activation.mailbox is None and not activation.unsettled:
                del self._by_stream[activation.stream]
                return
