"""Tables and statements from row models, built once with SQLAlchemy Core and run by asyncpg."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import asyncpg
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    MetaData,
    Numeric,
    Table,
    Text,
    all_,
    any_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy import Index as SqlIndex
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.ddl import ExecutableDDLElement
from sqlalchemy.types import TypeEngine

from projections.projection import Index

_DIALECT = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]

# What is new in an index of words is put in its place when so much of it has gathered, by whoever comes with the last
# of it. Of the 4 MB that PostgreSQL lets gather, a view stood still for half a second.
_PENDING_KB = 128

# Rows are written by parts of one statement, `move_on` in projections.sql, and only when its part `moved` has moved the
# checkpoint.
_HAS_MOVED = exists().select_from(table("moved"))

_SQL_TYPES: Mapping[type, TypeEngine[Any]] = {
    str: Text(),
    bool: Boolean(),
    int: BigInteger(),
    datetime: DateTime(timezone=True),
    date: Date(),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row model and its column."""

    name: str
    sql_type: TypeEngine[Any]
    nullable: bool
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def fields_of(model: type[BaseModel]) -> list[Field]:
    """The columns of a row model. What PostgreSQL has no simple type for is kept as JSON."""
    return [_field(name, info) for name, info in model.model_fields.items()]


def _field(name: str, info: FieldInfo) -> Field:
    kind, nullable = _without_none(info.annotation)
    if get_origin(kind) is Literal:
        kind = str
    plain = _SQL_TYPES.get(kind) if isinstance(kind, type) else None
    if plain is not None:
        return Field(name, plain, nullable, _same, _in_utc if kind is datetime else _same)
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return Field(name, JSONB(), nullable, lambda value: adapter.dump_json(value).decode(), adapter.validate_json)


def _sum(field: Field) -> Field:
    return Field(field.name, Numeric(), field.nullable, _same, int)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    others = [each for each in get_args(annotation) if each is not type(None)]
    nullable = len(others) < len(get_args(annotation))
    return (_without_none(others[0])[0], nullable) if len(others) == 1 else (annotation, nullable)


def _same(value: Any) -> Any:
    return value


def _in_utc(moment: datetime) -> datetime:
    """The driver forgets the zone of the first and the last moment that there are, which it takes for infinity."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def compiled(statement: ClauseElement | ExecutableDDLElement) -> str:
    """SQL with `$1` placeholders, in the order of the statement's parameters."""
    return str(statement.compile(dialect=_DIALECT))


def compile_statement(statement: ClauseElement) -> tuple[str, Sequence[str]]:
    """SQL with `$1` placeholders, and the names of its parameters in their order."""
    done = statement.compile(dialect=_DIALECT)
    return str(done), tuple(getattr(done, "positiontup", None) or ())


class RowTable:
    """The table of a row model: how it is made, and how rows go in and out.

    Args:
        name: of the table.
        model: its rows.
        key: fields that tell rows apart.
        indexes: beside the one of the key.
        sums: whether the numbers beside the key are sums of many, which 64 bits may not hold.
    """

    def __init__(
        self,
        name: str,
        model: type[BaseModel],
        key: Sequence[str],
        indexes: Sequence[Index] = (),
        *,
        sums: bool = False,
    ) -> None:
        self._model = model
        self._key = tuple(key)
        self._sums = sums
        self._fields = [_sum(each) if self._is_sum(each) else each for each in fields_of(model)]
        columns = [
            Column(
                field.name,
                Text(collation="C") if isinstance(field.sql_type, Text) else field.sql_type,
                primary_key=field.name in self._key,
                nullable=field.nullable,
            )
            for field in self._fields
        ]
        self.table = Table(name, MetaData(), *columns)
        self._converted = [field for field in self._fields if field.read is not _same]
        self._indexes = [self._index(index) for index in indexes]

    @property
    def name(self) -> str:
        """Of the table."""
        return self.table.name

    @cached_property
    def create(self) -> str:
        """The statement that makes the table, with no other index than that of the key."""
        return compiled(CreateTable(self.table))

    @cached_property
    def create_indexes(self) -> Sequence[str]:
        """The statements that make the other indexes, which are cheaper to make of many rows than to keep up."""
        return [compiled(CreateIndex(index, if_not_exists=True)) for index in self._indexes]

    @cached_property
    def analyze(self) -> str:
        """The statement that tells the planner what is in the table."""
        return compiled(DDL("ANALYZE %(fullname)s").against(self.table))  # type: ignore[no-untyped-call]

    @cached_property
    def drop(self) -> str:
        """The statement that drops the table."""
        return compiled(DropTable(self.table, if_exists=True))

    @cached_property
    def digest(self) -> str:
        """How many rows there are, and a checksum of them in whatever order; one parameter, keys to leave out.

        Groups whose sums have come to nothing are as good as not there.
        """
        whole_row = func.hashtextextended(cast(self.table.table_valued(), Text), literal_column("0"))
        there = [self.table.c[self._key[0]] != all_(bindparam("keys", type_=ARRAY(Text)))]
        if self._sums:
            sums = [self.table.c[field.name] != literal_column("0") for field in self._fields if self._is_sum(field)]
            there = [or_(*sums)]
        return compiled(
            select(
                func.count().label("rows"),
                func.coalesce(func.sum(cast(whole_row, Numeric)), literal_column("0")).label("checksum"),
            )
            .select_from(self.table)
            .where(*there)
        )

    @cached_property
    def load(self) -> str:
        """Rows by key; one parameter, an array of keys."""
        return compiled(select(self.table).where(self._is_one_of(bindparam("keys", type_=ARRAY(Text)))))

    @cached_property
    def all(self) -> str:
        """All rows."""
        return compiled(select(self.table))

    def delete(self, keys: str) -> str:
        """The part of `move_on` that drops rows.

        Args:
            keys: placeholder of an array of keys.
        """
        # Mostly none: then the table is not looked at, however small the planner believes it is.
        some = func.cardinality(literal_column(keys)) > literal_column("0")
        return compiled(delete(self.table).where(self._is_one_of(literal_column(keys)), some, _HAS_MOVED))

    def upsert(self, rows: str) -> str:
        """The part of `move_on` that puts whole rows in the place of those with the same key.

        Args:
            rows: placeholder of an array of what `records_of` gives.
        """
        return self._insert(rows, lambda column, new: new)

    def add(self, rows: str) -> str:
        """The part of `move_on` that adds the numbers of rows to those with the same key; the rest as `upsert`."""
        return self._insert(rows, lambda column, new: column + new)

    def records_of(self, rows: Sequence[BaseModel]) -> list[tuple[Any, ...]]:
        """What is stored of each row, in the order of the columns."""
        values = [row.__dict__ for row in rows]
        columns = [
            [each[field.name] for each in values]
            if field.write is _same
            else [None if (value := each[field.name]) is None else field.write(value) for each in values]
            for field in self._fields
        ]
        return list(zip(*columns, strict=True))

    def read(self, record: asyncpg.Record) -> Any:
        """A row model from a record that has at least its columns. What was written by a fold is not checked again."""
        values = {field.name: record[field.name] for field in self._fields}
        for field in self._converted:
            if values[field.name] is not None:
                values[field.name] = field.read(values[field.name])
        return self._model.model_construct(None, **values)

    def key_of(self, row: BaseModel) -> tuple[Any, ...]:
        """What tells this row from others."""
        return tuple(getattr(row, name) for name in self._key)

    def added(self, rows: Iterable[tuple[BaseModel, int]]) -> list[BaseModel]:
        """Rows summed up by key, each times its factor, those that come to nothing left out, sorted by key."""
        numbers = [field.name for field in self._fields if self._is_sum(field)]
        sums: dict[tuple[Any, ...], list[int]] = {}
        for row, factor in rows:
            group = sums.setdefault(self.key_of(row), [0] * len(numbers))
            for place, name in enumerate(numbers):
                group[place] += factor * getattr(row, name)
        # Sorted, so that two runners that add to the same groups do not wait for each other.
        return [
            self._model.model_construct(
                None, **dict(zip(self._key, key, strict=True)), **dict(zip(numbers, group, strict=True))
            )
            for key, group in sorted(sums.items())
            if any(group)
        ]

    def _is_sum(self, field: Field) -> bool:
        return self._sums and field.name not in self._key

    def _is_one_of(self, keys: Any) -> Any:
        return self.table.c[self._key[0]] == any_(keys)

    def _insert(self, rows: str, merge: Callable[[Any, Any], Any]) -> str:
        names = [field.name for field in self._fields]
        # One array of whole rows: the driver and the server need half of what an array for each column costs them.
        array: Any = literal_column(f"{rows}::{self.name}[]")
        new = func.unnest(array).table_valued(*names).render_derived(name="new_rows")
        statement = insert(self.table).from_select(names, select(*new.c).where(_HAS_MOVED))
        merged = {name: merge(self.table.c[name], statement.excluded[name]) for name in names if name not in self._key}
        return compiled(
            statement.on_conflict_do_update(index_elements=[self.table.c[name] for name in self._key], set_=merged)
            if merged
            else statement.on_conflict_do_nothing()
        )

    def _index(self, index: Index) -> SqlIndex:
        name = f"{self.table.name}_by_{'_'.join(index.columns)}"
        columns = [self.table.c[column] for column in index.columns]
        if index.kind == "order":
            return SqlIndex(name, *columns)
        words = func.array_to_tsvector(func.string_to_array(columns[0], text("' '")))
        return SqlIndex(name, words, postgresql_using="gin", postgresql_with={"gin_pending_list_limit": _PENDING_KB})
