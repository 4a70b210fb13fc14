"""One version of a view: its tables, which carry the version in their names, and what tells it from others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from actors.store.sql_files import load_queries
from projections.errors import RowRefused
from projections.projection import AnyProjection, Tally
from projections.tables import RowTable

_SQL = load_queries("projections", "projections.sql")

Change = tuple[BaseModel | None, BaseModel | None]  # a row before and after


class Build:
    """The tables of a projection in one version.

    `projection.name` and the names of the tallies are SQL views of the served version, so that readers need not
    know versions, and the next version can be built beside this one.
    """

    def __init__(self, projection: AnyProjection, version: int) -> None:
        self.projection = projection
        self.version = version
        name = f"{projection.name}_v{version}"
        self.rows = RowTable(name, projection.row, (projection.key,), projection.indexes)
        self.tallies: Sequence[tuple[Tally, RowTable]] = [
            (tally, RowTable(f"{tally.name}_v{version}", tally.row, tally.key, sums=True))
            for tally in projection.tallies
        ]

    @property
    def tables(self) -> Sequence[tuple[str, RowTable]]:
        """The name that readers use → the table."""
        return [(self.projection.name, self.rows), *((tally.name, table) for tally, table in self.tallies)]

    @cached_property
    def move_on(self) -> str:
        """Moves the checkpoint and writes what goes with it, all in one statement.

        Its parameters are those of the query of this name, an array of changed rows, one of the keys of rows that are
        gone, and for each tally an array of what is added.
        """
        tallies = [table.add(f"${place}") for place, (_, table) in enumerate(self.tallies, start=9)]
        # PostgreSQL does the last part first, so that whoever shares the view waits for a tally as short as can be.
        parts = enumerate([*tallies, self.rows.delete("$8"), self.rows.upsert("$7")])
        return _SQL["move_on"].replace("/* rows */", "".join(f", rows_{place} AS ({part})" for place, part in parts))

    def written(self, changes: Mapping[str, Change]) -> Sequence[Sequence[Any]]:
        """What `move_on` writes of these changes: its parameters from changed rows on.

        Raises:
            RowRefused: a row, or its contribution to a tally, is none that can be stored.
        """
        try:
            return (
                self.rows.records_of([row for _, row in changes.values() if row is not None]),
                [key for key, (_, row) in changes.items() if row is None],
                *(table.records_of(_added(tally, table, changes.values())) for tally, table in self.tallies),
            )
        except RowRefused:
            raise
        except Exception as bug:  # rows are made by code that is not ours; they stop their own projection only
            raise RowRefused(f"its row or tally cannot be written: {type(bug).__name__}: {bug}") from bug


def _added(tally: Tally, table: RowTable, changes: Iterable[Change]) -> list[BaseModel]:
    """What rows that changed from before to after add to a tally.

    Raises:
        RowRefused: the contribution of a row cannot be said.
    """
    moves = ((_contribution(tally, before), _contribution(tally, after)) for before, after in changes)
    return table.added(
        (contribution, factor)
        for before, after in moves
        if not _same(before, after)
        for contribution, factor in ((before, -1), (after, 1))
        if contribution is not None
    )


def _same(one: BaseModel | None, other: BaseModel | None) -> bool:
    """Most changes of rows change no tally; this is the cheap way to see it."""
    return one is other or (one is not None and other is not None and one.__dict__ == other.__dict__)


def _contribution(tally: Tally, row: BaseModel | None) -> BaseModel | None:
    if row is None:
        return None
    try:
        return tally.contribution(row)
    except Exception as bug:  # a contribution is not our code; it stops its own projection only
        raise RowRefused(f"tally {tally.name} raised {type(bug).__name__}: {bug}") from bug


def fingerprint(projection: AnyProjection) -> str:
    """Changes when the tables or the meaning of a projection change, and with nothing else."""
    shape = {
        "tables": [(table.create, *table.create_indexes) for _, table in Build(projection, 0).tables],
        "rows": [model.model_json_schema() for model in (projection.row, *(each.row for each in projection.tallies))],
        "on": sorted(event.__name__ for event in projection.on),
        # What an earlier release could not read, it has passed over.
        "read": sorted(projection.read),
        "revision": projection.revision,
    }
    return hashlib.blake2b(json.dumps(shape, sort_keys=True).encode(), digest_size=16).hexdigest()
