"""Events of the log become rows: one batch, in memory. No I/O but the loading of rows, which the caller does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from actors.domain.decider import Event
from actors.domain.upcast import Reading, UnreadableEvent
from actors.store.event_store import LoggedEvent, RecordedEvent, Stretch, positions_of, split_stream
from projections.errors import LogHasGap, PoisonEvent
from projections.projection import AnyProjection, Fold, Recorded


@dataclass(slots=True)
class Step:
    """An event that a projection does something with: a fold of a row, or it cannot be folded.

    Attributes:
        key: of the row; None when that cannot be said.
    """

    event: LoggedEvent | RecordedEvent
    key: str | None
    fold: Fold[Any] | None = None
    recorded: Recorded[Any] | None = None
    poison: str | None = None


@dataclass(slots=True)
class Portion:
    """Events of the log, in its order, partition by partition.

    Attributes:
        steps: those that the projection does something with.
        after: partition → position of the last of the events, also of those that are no steps.
    """

    steps: Sequence[Step]
    after: Mapping[int, int]

    def halves(self) -> tuple[Portion, Portion]:
        """The same, cut in front of the step in the middle."""
        middle = len(self.steps) // 2
        return Portion(self.steps[:middle], self.up_to(self.steps[middle])), Portion(self.steps[middle:], self.after)

    def up_to(self, step: Step) -> Mapping[int, int]:
        """How far the log is folded when everything in front of a step is."""
        here = step.event.partition
        earlier = {each: position for each, position in self.after.items() if each < here}
        return {**earlier, here: step.event.position - 1}


@dataclass(slots=True)
class Aside:
    """What is set aside until somebody decides: no event of these rows is folded.

    Attributes:
        keys: of rows.
        streams: of events whose row is not known.
        unlocated: how many these are.
    """

    keys: set[str] = field(default_factory=set)
    streams: set[str] = field(default_factory=set)
    unlocated: int = 0

    def holds(self, step: Step) -> bool:
        """Whether an event has to wait behind one that is parked."""
        return step.key in self.keys or step.event.stream in self.streams


@dataclass(slots=True)
class Folded:
    """What a portion came to.

    Attributes:
        after: partition → position of the last event that is done with.
        changes: key → row before, row after.
        behind: events that wait behind a parked one of their row.
        poison: the event that could not be folded; everything before it is in here, nothing after it.
        unlocated: how many events without a known row were set aside.
    """

    after: Mapping[int, int]
    changes: dict[str, tuple[BaseModel | None, BaseModel | None]] = field(default_factory=dict)
    behind: list[Step] = field(default_factory=list)
    poison: PoisonEvent | None = None
    unlocated: int = 0


class Folding:
    """Folds batches of events for one projection."""

    def __init__(self, projection: AnyProjection) -> None:
        self._projection = projection
        self._readings: dict[tuple[str, str], tuple[Reading[Event], Fold[Any] | None]] = {
            (source.category, name): (reading, projection.on.get(reading.model))
            for source in projection.sources
            for name, reading in source.readings.items()
        }
        self._categories = set(projection.categories)
        self._stays = projection.stays_in_partition

    def portion(self, stretch: Stretch, checkpoint: Mapping[int, int]) -> Portion:
        """What to do with each event after the checkpoint, in the order of the log.

        Raises:
            LogHasGap: an event is missing between the checkpoint and the end of the stretch.
        """
        after = positions_of(stretch.ends)
        for partition, end in after.items():
            missing = end - checkpoint[partition] - stretch.lengths[partition]
            if missing:
                raise LogHasGap(partition, end, missing)
        steps = [step for event in stretch.events if (step := self.step(event)) is not None]
        return Portion(steps, after)

    def fold(self, portion: Portion, rows: Mapping[str, Any], aside: Aside) -> Folded:
        """Fold all steps, or those before the first that cannot be folded.

        Args:
            rows: the present rows of all keys that the steps name, where they exist.
        """
        folded = Folded(portion.after, unlocated=aside.unlocated)
        now: dict[str, Any] = {}
        for step in portion.steps:
            if aside.holds(step):
                folded.behind.append(step)
            elif (reason := step.poison or self._apply(step, rows, now)) is not None:
                folded.poison = PoisonEvent(step.event, step.key, reason)
                folded.after = portion.up_to(step)
                break
        for key, after in now.items():
            before = rows.get(key)
            if before is not after:
                folded.changes[key] = (before, after)
        return folded

    def next_row(self, row: Any, event: RecordedEvent) -> Any:
        """The row of one actor after an event of it; None = there is none.

        Raises:
            PoisonEvent: the event cannot be folded.
        """
        step = self.step(event)
        if step is None:
            return row
        rows: dict[str, Any] = {}
        reason = step.poison or self._apply(step, {} if row is None or step.key is None else {step.key: row}, rows)
        if reason is not None:
            raise PoisonEvent(event, step.key, reason)
        return rows.get(step.key or "")

    def step(self, event: LoggedEvent | RecordedEvent) -> Step | None:
        """What to do with an event; None = nothing."""
        category, actor = split_stream(event.stream)
        if category not in self._categories:
            return None
        # Where rows are those of the actors, the row is known without looking into the event.
        key = actor if self._stays else None
        reading, fold = self._readings.get((category, event.type), (None, None))
        if reading is None and self._projection.unknown == "stop":
            return Step(event, key, poison="this release does not know the type")
        if reading is None or fold is None:
            return None
        try:
            data = reading.read(event.data)
            recorded = Recorded(data, actor, event.version, event.recorded_at, event.partition, event.position)
            return Step(event, self._projection.locate(recorded), fold, recorded)
        except UnreadableEvent as exc:
            return Step(event, key, poison=str(exc))
        except Exception as bug:  # noqa: BLE001 - locate is not our code; it stops its own projection only
            return Step(event, key, poison=f"locating its row raised {type(bug).__name__}: {bug}")

    def _apply(self, step: Step, rows: Mapping[str, Any], now: dict[str, Any]) -> str | None:
        """Fold one event into `now`. Returns why it cannot be folded."""
        key = step.key
        if step.fold is None or step.recorded is None or key is None:
            return None
        before = now[key] if key in now else rows.get(key)
        try:
            row = step.fold(before, step.recorded)
        except Exception as bug:  # noqa: BLE001 - a fold is not our code; it stops its own projection only
            return f"its fold raised {type(bug).__name__}: {bug}"
        if row is not None and (type(row) is not self._projection.row or getattr(row, self._projection.key) != key):
            return f"its fold returned something else than the row {key!r}"
        now[key] = row
        return None
