"""Queries on views, built once, each answering with the checkpoint of its view in the same snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Select, String, Text, bindparam, case, cast, column, func, literal_column, select, table, true
from sqlalchemy.dialects.postgresql import JSONB

from projections.projection import AnyProjection, Tally
from projections.tables import RowTable, compile_statement

_CHECKPOINTS = table("checkpoints", *map(column, ("name", "version", "partition", "position", "epoch")))
_PROJECTIONS = table("projections", column("name"), column("version"), column("served"))


class Query:
    """A statement whose first record carries the `checkpoint` of the view beside the columns of `rows`.

    There is always at least one record; `place` is null in the one that stands for no row. The name of the
    projection is the parameter `projection`.

    Args:
        rows: what to find.
        order: of the records, over columns of what `rows` selects from.
    """

    def __init__(self, rows: Select[Any], *order: Any) -> None:
        found = rows.add_columns(func.row_number().over(order_by=order or None).label("place")).subquery("found")
        checkpoint = _checkpoint()
        self.sql, self._names = compile_statement(
            # Once is enough: it is not sent again with each record.
            select(case((_is_first(found), checkpoint.c.checkpoint)).label("checkpoint"), found)
            .select_from(checkpoint.outerjoin(found, true()))
            .order_by(found.c.place)
        )

    def in_order(self, arguments: Mapping[str, object]) -> list[object]:
        """The arguments as the placeholders of the statement count them."""
        return [arguments[name] for name in self._names]


def _is_first(found: Any) -> Any:
    return found.c.place.is_(None) | (found.c.place == literal_column("1"))


def _checkpoint() -> Any:
    mark = func.jsonb_build_array(_CHECKPOINTS.c.position, _CHECKPOINTS.c.epoch)
    marks = func.jsonb_object_agg(cast(_CHECKPOINTS.c.partition, String), mark, type_=JSONB)
    served = (_PROJECTIONS.c.name == _CHECKPOINTS.c.name) & (_PROJECTIONS.c.version == _CHECKPOINTS.c.version)
    return (
        select(marks.label("checkpoint"))
        .join_from(_CHECKPOINTS, _PROJECTIONS, served)
        .where(_PROJECTIONS.c.name == bindparam("projection", type_=Text()), _PROJECTIONS.c.served)
        .subquery("checkpoint")
    )


@cache
def row_table(projection: AnyProjection) -> RowTable:
    """The rows of a projection, under the name that readers use."""
    return RowTable(projection.name, projection.row, (projection.key,))


@cache
def tally_table(tally: Tally) -> RowTable:
    """The groups of a tally, under the name that readers use."""
    return RowTable(tally.name, tally.row, tally.key, sums=True)
