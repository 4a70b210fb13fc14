"""What a view is: a row model, and for each event a pure function from the row before to the row after.

    ACCOUNTS = Projection(
        name="accounts",
        row=AccountRow,
        key="id",
        sources=(ACCOUNT,),
        on={Opened: opened, Deposited: deposited},
    )

The runner does the rest: it reads the log, loads the rows that a batch touches, folds, and writes rows and
checkpoint in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from actors.domain.decider import AnyDecider, Event
from actors.domain.domain import Domain, DomainError

E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=BaseModel)


class Recorded(NamedTuple, Generic[E]):
    """An event as a fold sees it.

    Attributes:
        data: the event.
        key: id of the actor that it happened to.
        version: of that actor, 1-based.
        recorded_at: UTC, by the clock of the log.
        partition, position: its place in the log.
    """

    data: E
    key: str
    version: int
    recorded_at: datetime
    partition: int
    position: int


Fold = Callable[[R | None, Recorded[Any]], R | None]

# Tables of the read database that are no views.
_TAKEN = frozenset({"projections", "checkpoints", "parked", "runners", "migrations"})


def _of_its_actor(event: Recorded[Any]) -> str:
    return event.key


@dataclass(frozen=True)
class Index:
    """Makes a query on some columns fast.

    Attributes:
        columns: names of fields of the row.
        kind: `order` for comparison and sorting; `words` for the beginnings of words of one column, which
            holds words separated by single spaces.
    """

    columns: tuple[str, ...]
    kind: Literal["order", "words"] = "order"


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts and sums over the rows of a projection, by group; kept up to date with every change of a row.

    Attributes:
        name: of the table.
        row: model of one group: the fields of `key`, and integers that add up.
        key: names of the fields that make a group.
        contribution: pure; what one row of the projection adds, None = nothing.
    """

    name: str
    row: type[BaseModel]
    key: tuple[str, ...]
    contribution: Callable[[Any], BaseModel | None]

    def __post_init__(self) -> None:
        _check_name(self.name)
        missing = sorted(set(self.key) - self.row.model_fields.keys())
        if missing:
            raise ValueError(f"tally {self.name!r}: its rows have no field {', '.join(missing)}")


@dataclass(frozen=True, eq=False)
class Projection(Generic[R]):
    """One view.

    Attributes:
        name: of the view and its table.
        row: pydantic model of a row.
        key: name of the field that tells rows apart, a `str`.
        sources: the kinds of actors whose events are folded.
        on: event class → fold; None as the row = there is none, before or after.
        locate: the row that an event is about; by default the one of its actor. A row that is folded from several
            actors must come out the same in whatever order their events are folded; the order of one actor is kept.
        tallies: counts and sums over the rows.
        indexes: for the queries of the view.
        unknown: what to do with an event of a source that this release does not know.
        revision: raise it when a fold changes its meaning; the view is then built anew.
    """

    name: str
    row: type[R]
    key: str
    sources: Sequence[AnyDecider]
    on: Mapping[type[Event], Fold[R]]
    locate: Callable[[Recorded[Any]], str] = _of_its_actor
    tallies: Sequence[Tally] = ()
    indexes: Sequence[Index] = ()
    unknown: Literal["ignore", "stop"] = "ignore"
    revision: int = 1

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.key not in self.row.model_fields or self.row.model_fields[self.key].annotation is not str:
            raise ValueError(f"projection {self.name!r}: its rows have no field {self.key} that is a str")
        known = {event for source in self.sources for event in source.event_types.values()}
        strangers = sorted(event.__name__ for event in self.on if event not in known)
        if strangers:
            raise ValueError(f"projection {self.name!r}: none of its sources has {', '.join(strangers)}")

    @property
    def stays_in_partition(self) -> bool:
        """Whether each row is folded from one actor, so that several runners can share the partitions out."""
        return self.locate is _of_its_actor and len(self.sources) == 1

    @property
    def types(self) -> Collection[str] | None:
        """Stored names of the events that it has to see; None = all of its sources."""
        if self.unknown == "stop":
            return None
        return {name for _, name in self.read}

    @property
    def read(self) -> Sequence[tuple[str, str]]:
        """Category and stored name of the events that it folds."""
        return [
            (source.category, name)
            for source in self.sources
            for name, reading in source.readings.items()
            if reading.model in self.on
        ]

    @property
    def categories(self) -> Sequence[str]:
        """Of the streams whose events are folded."""
        return [source.category for source in self.sources]


AnyProjection = Projection[Any]


def projections_of(domain: Domain) -> Sequence[AnyProjection]:
    """The projections of a domain.

    Raises:
        DomainError: something in it is no `Projection`, or two views or tallies have one name.
    """
    for projection in domain.projections:
        if not isinstance(projection, Projection):
            raise DomainError(f"{projection!r} is among the projections of the domain, but is no Projection")
    projections = [projection for projection in domain.projections if isinstance(projection, Projection)]
    names = [name for each in projections for name in (each.name, *(tally.name for tally in each.tallies))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DomainError(f"two views or tallies of the domain have the same name: {', '.join(twice)}")
    return projections


def _check_name(name: str) -> None:
    """Names become names of tables, to which a version is added."""
    if re.fullmatch("[a-z][a-z0-9_]{0,39}", name) is None or re.search(r"_v\d+$", name) or name in _TAKEN:
        raise ValueError(
            f"{name!r} is no name of a view or tally: use a-z, 0-9 and _, at most 40, no version at the end, "
            f"and none of {', '.join(sorted(_TAKEN))}"
        )
