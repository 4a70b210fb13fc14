"""The promises that a log can be held to by itself, each check fed with all events in the order that it needs.

    gapless   positions count 1, 2, 3 … in each partition, versions in each stream
    ordered   a stream lives in its partition, and its versions stand there in their order
    fenced    epochs never go back and were given out, and one writer wrote in each
    once      a command id stands in one group: consecutive events of one stream, the command with the first
    legal     the state before, and the command, lead to the events, by the rules of this release

Pure, and in bounded memory: what is remembered is a partition's end, a stream's state, a command's events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import msgspec

from actors.audit.finding import Finding, found
from actors.domain.decider import AnyDecider, Rejection
from actors.domain.upcast import UnreadableEvent
from actors.runtime.activation import Activation
from actors.runtime.turn import UnreadableCommand, read_command
from actors.store.event_store import RecordedEvent, partition_of
from actors.store.log_scan import Order


class Check(Protocol):
    """Looks at all events, in its order, and yields what is wrong."""

    @property
    def order(self) -> Order: ...

    def look(self, event: RecordedEvent) -> Iterator[Finding]:
        """The next event."""
        ...

    def close(self) -> Iterator[Finding]:
        """There are no more events."""
        ...


class _Written(msgspec.Struct):
    """What the metadata says about the writer."""

    silo: str


_metadata = msgspec.json.Decoder(_Written)


class PartitionCheck(Check):
    """Each partition by itself: no gap, every stream where it belongs, one writer in each epoch.

    Args:
        epochs: partition → ownership generation that was given out last.
    """

    order = Order.POSITION

    def __init__(self, epochs: Mapping[int, int]) -> None:
        self._epochs = epochs
        self._partition = -1
        self._position = 0
        self._epoch = 0
        self._writer: str | None = None

    def look(self, event: RecordedEvent) -> Iterator[Finding]:
        if event.partition != self._partition:
            self._partition, self._position, self._epoch, self._writer = event.partition, 0, 0, None
        if event.position != self._position + 1:
            yield found("gapless", event, f"stands behind position {self._position} of its partition")
        if partition_of(event.stream, len(self._epochs)) != event.partition:
            yield found("ordered", event, "its stream belongs into another partition")
        yield from self._check_writer(event)
        self._position, self._epoch = event.position, event.epoch

    def close(self) -> Iterator[Finding]:
        return iter(())

    def _check_writer(self, event: RecordedEvent) -> Iterator[Finding]:
        writer = _writer(event)
        if writer is None:
            yield found("fenced", event, "does not say who wrote it")
        if event.epoch < self._epoch:
            yield found("fenced", event, f"was written in epoch {event.epoch}, behind one of epoch {self._epoch}")
        elif event.epoch == self._epoch and writer != self._writer:
            yield found("fenced", event, f"was written by {writer}, but epoch {event.epoch} is of {self._writer}")
        if event.epoch > self._epochs.get(event.partition, 0):
            yield found("fenced", event, f"was written in epoch {event.epoch}, which was never given out")
        self._writer = writer


class CommandCheck(Check):
    """Each command id by itself: it stands in one group only."""

    order = Order.COMMAND

    def __init__(self) -> None:
        self._last: RecordedEvent | None = None

    def look(self, event: RecordedEvent) -> Iterator[Finding]:
        last, self._last = self._last, event
        if last is None or last.command_id != event.command_id:
            return
        if not _follows(last, event):
            yield found("once", event, f"its command was also written at version {last.version} of {last.stream}")

    def close(self) -> Iterator[Finding]:
        return iter(())


class StreamCheck(Check):
    """Each stream by itself: no gap, whole commands, and every decision taken again.

    A stream that cannot be followed any further is left at its first finding.

    Args:
        deciders: by category.
        decisions: whether decisions are taken again. The rules of this release may not be those of the log.
    """

    order = Order.STREAM

    def __init__(self, deciders: Mapping[str, AnyDecider], *, decisions: bool = True) -> None:
        self._deciders = deciders
        self._decisions = decisions
        self._stream: str | None = None
        self._actor: Activation[Any] | None = None
        self._last: RecordedEvent | None = None
        self._group: list[RecordedEvent] = []
        self.streams = 0
        self.commands = 0

    def look(self, event: RecordedEvent) -> Iterator[Finding]:
        if event.stream != self._stream:
            yield from self._settle()
            self._enter(event)
        elif self._group and event.command_id != self._group[0].command_id:
            yield from self._settle()
        yield from self._check_place(event)
        self._group.append(event)
        self._last = event

    def close(self) -> Iterator[Finding]:
        yield from self._settle()

    def _enter(self, event: RecordedEvent) -> None:
        decider = self._deciders.get(event.category) if self._decisions else None
        self._stream, self._last = event.stream, None
        self._actor = None if decider is None else Activation(decider, event.stream, event.partition)
        self.streams += 1

    def _check_place(self, event: RecordedEvent) -> Iterator[Finding]:
        version, position = (0, 0) if self._last is None else (self._last.version, self._last.position)
        if event.version != version + 1:
            self._actor = None
            yield found("gapless", event, f"stands behind version {version} of its stream")
        if event.position <= position:
            yield found("ordered", event, f"stands in front of version {version} of its stream")
        if self._last is None and self._decisions and event.category not in self._deciders:
            yield found("legal", event, f"this service has no actors of kind {event.category!r}")

    def _settle(self) -> Iterator[Finding]:
        """The events of one command are complete."""
        group, self._group = self._group, []
        if not group:
            return
        self.commands += 1
        broken = list(_check_group(group))
        if not broken and self._actor is not None:
            broken = list(_decide_again(self._actor, group))
        if broken:
            self._actor = None
        yield from broken


def _follows(last: RecordedEvent, event: RecordedEvent) -> bool:
    """Whether two events can stand side by side in one group."""
    step = (event.ordinal - last.ordinal, event.version - last.version, event.position - last.position)
    same = (event.stream, event.partition, event.epoch) == (last.stream, last.partition, last.epoch)
    return same and step == (1, 1, 1)


def _check_group(group: Sequence[RecordedEvent]) -> Iterator[Finding]:
    first = group[0]
    if first.ordinal != 0:
        yield found("once", first, "the first events of its command are missing")
    elif first.command is None:
        yield found("once", first, "its command is missing")
    for last, event in pairwise(group):
        if not _follows(last, event):
            yield found("once", event, "does not stand directly behind the event before it of its command")
        if event.command is not None:
            yield found("once", event, "its command stands there once more")


def _decide_again(actor: Activation[Any], group: Sequence[RecordedEvent]) -> Iterator[Finding]:
    first = group[0]
    try:
        expected = actor.decider.decide(read_command(actor.decider, first.command or ""), actor.state)
        recorded = [actor.read(event) for event in group]
        actor.load(group)
    except (UnreadableEvent, UnreadableCommand) as exc:
        yield found("legal", first, str(exc))
    except Rejection as no:
        yield found("legal", first, f"{first.command} is refused in the state before it: {no}")
    except Exception as bug:  # noqa: BLE001 - the domain's code is not ours
        yield found("legal", first, f"{first.command} raises {type(bug).__name__} in the state before it")
    else:
        if list(expected) != recorded:
            yield found("legal", first, f"{first.command} leads to other events in the state before it")


def _writer(event: RecordedEvent) -> str | None:
    try:
        return _metadata.decode(event.metadata).silo
    except msgspec.MsgspecError:
        return None
