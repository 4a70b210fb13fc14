"""Events of the log become rows: one batch, in memory. No I/O but the loading of rows, which the caller does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from actors.domain.decider import Event
from actors.domain.upcast import Reading, UnreadableEvent
from actors.store.event_store import Mark, RecordedEvent
from projections.errors import LogHasGap, PoisonEvent
from projections.projection import AnyProjection, Fold, Recorded


@dataclass(slots=True)
class Folded:
    """What a batch of events came to.

    Attributes:
        after: partition → mark of the last event folded.
        changes: key → row before, row after.
        poison: the event that could not be folded; everything before it is in here, nothing behind it.
    """

    after: dict[int, Mark] = field(default_factory=dict)
    changes: dict[str, tuple[BaseModel | None, BaseModel | None]] = field(default_factory=dict)
    poison: PoisonEvent | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One event of the log, and what a projection does with it: a fold of a row, or nothing."""

    event: RecordedEvent
    key: str = ""
    fold: Fold[Any] | None = None
    recorded: Recorded[Any] | None = None
    poison: PoisonEvent | None = None


class Folding:
    """Folds batches of events for one projection."""

    def __init__(self, projection: AnyProjection) -> None:
        self._projection = projection
        self._readings: dict[tuple[str, str], tuple[Reading[Event], Fold[Any] | None]] = {
            (source.category, name): (reading, projection.on.get(reading.model))
            for source in projection.sources
            for name, reading in source.readings.items()
        }
        self._categories = {source.category for source in projection.sources}

    def steps(self, events: Iterable[RecordedEvent], checkpoint: Mapping[int, int]) -> list[Step]:
        """What to do with each event, in the order of the log.

        Raises:
            LogHasGap: an event is missing between the checkpoint and these events.
        """
        expected = {partition: position + 1 for partition, position in checkpoint.items()}
        steps = []
        for event in events:
            if event.position != expected[event.partition]:
                raise LogHasGap(event.partition, expected[event.partition], event.position)
            expected[event.partition] += 1
            steps.append(self._step(event))
        return steps

    def fold(self, steps: Sequence[Step], rows: Mapping[str, Any]) -> Folded:
        """Fold all steps, or those before the first that cannot be folded.

        Args:
            rows: the present rows of all keys that the steps name, where they exist.
        """
        folded = Folded()
        now = dict(rows)
        for step in steps:
            poison = step.poison or self._apply(step, now)
            if poison is not None:
                folded.poison = poison
                break
            folded.after[step.event.partition] = Mark(step.event.position, step.event.epoch)
        for key in {step.key for step in steps if step.fold is not None}:
            before, after = rows.get(key), now.get(key)
            if before is not after:
                folded.changes[key] = (before, after)
        return folded

    def next_row(self, row: Any, event: RecordedEvent) -> Any:
        """The row of one actor after an event of it; None = there is none.

        Raises:
            PoisonEvent: the event cannot be folded.
        """
        step = self._step(event)
        rows = {} if row is None else {step.key: row}
        poison = step.poison or self._apply(step, rows)
        if poison is not None:
            raise poison
        return row if step.fold is None else rows.get(step.key)

    def _step(self, event: RecordedEvent) -> Step:
        if event.category not in self._categories:
            return Step(event)
        reading, fold = self._readings.get((event.category, event.type), (None, None))
        if reading is None and self._projection.unknown == "stop":
            return Step(event, poison=poison_of(event, "this release does not know the type"))
        if reading is None or fold is None:
            return Step(event)
        try:
            data = reading.read(event.data)
            recorded = Recorded(data, event.key, event.version, event.recorded_at, event.partition, event.position)
            return Step(event, self._projection.locate(recorded), fold, recorded)
        except UnreadableEvent as exc:
            return Step(event, poison=poison_of(event, str(exc)))
        except Exception as bug:  # noqa: BLE001 - locate is not our code; it stops its own projection only
            return Step(event, poison=poison_of(event, f"locating its row raised {type(bug).__name__}: {bug}"))

    def _apply(self, step: Step, rows: dict[str, Any]) -> PoisonEvent | None:
        if step.fold is None or step.recorded is None:
            return None
        try:
            row = step.fold(rows.get(step.key), step.recorded)
        except Exception as bug:  # noqa: BLE001 - a fold is not our code; it stops its own projection only
            return poison_of(step.event, f"its fold raised {type(bug).__name__}: {bug}")
        if row is None:
            rows.pop(step.key, None)
        elif not isinstance(row, self._projection.row) or getattr(row, self._projection.key) != step.key:
            return poison_of(step.event, f"its fold returned something else than the row {step.key!r}")
        else:
            rows[step.key] = row
        return None


def poison_of(event: RecordedEvent, reason: str) -> PoisonEvent:
    """The error that stops a projection at an event."""
    return PoisonEvent(event.stream, event.version, event.type, reason)
