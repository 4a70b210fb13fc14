"""Tables and statements from row models, built once with SQLAlchemy Core and run by asyncpg."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import asyncpg
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    MetaData,
    Numeric,
    Table,
    Text,
    any_,
    bindparam,
    delete,
    func,
    select,
    text,
)
from sqlalchemy import Index as SqlIndex
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

from projections.projection import Index

_DIALECT = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]

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
        return Field(name, plain, nullable, _same, _same)
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


def compiled(statement: ClauseElement | CreateTable | CreateIndex | DropTable) -> str:
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
        self._fields = [_sum(each) if sums and each.name not in self._key else each for each in fields_of(model)]
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
        self._indexes = [self._index(index) for index in indexes]

    @cached_property
    def create(self) -> Sequence[str]:
        """The statements that make the table and its indexes."""
        return [compiled(CreateTable(self.table)), *(compiled(CreateIndex(index)) for index in self._indexes)]

    @cached_property
    def drop(self) -> str:
        """The statement that drops the table."""
        return compiled(DropTable(self.table, if_exists=True))

    @cached_property
    def load(self) -> str:
        """Rows by key; one parameter, an array of keys."""
        return compiled(select(self.table).where(self._is_one_of_keys()))

    @cached_property
    def delete(self) -> str:
        """Drops rows by key; one parameter, an array of keys."""
        return compiled(delete(self.table).where(self._is_one_of_keys()))

    @cached_property
    def upsert(self) -> str:
        """Puts whole rows in the place of those with the same key; parameters as `columns_of` gives them."""
        return self._insert(lambda column, new: new)

    @cached_property
    def add(self) -> str:
        """Adds the numbers of rows to those with the same key; parameters as `columns_of` gives them."""
        return self._insert(lambda column, new: column + new)

    def columns_of(self, rows: Sequence[BaseModel]) -> list[list[Any]]:
        """One list for each column, in the order of the statements' parameters."""
        return [
            [None if (value := getattr(row, field.name)) is None else field.write(value) for row in rows]
            for field in self._fields
        ]

    def read(self, record: asyncpg.Record) -> Any:
        """A row model from a record that has at least its columns. What was written by a fold is not checked again."""
        return self._model.model_construct(
            None,
            **{
                field.name: None if (value := record[field.name]) is None else field.read(value)
                for field in self._fields
            },
        )

    def key_of(self, row: BaseModel) -> tuple[Any, ...]:
        """What tells this row from others."""
        return tuple(getattr(row, name) for name in self._key)

    def added(self, rows: Iterable[tuple[BaseModel, int]]) -> list[BaseModel]:
        """Rows summed up by key, each times its factor, those that come to nothing left out, sorted by key."""
        sums: dict[tuple[Any, ...], dict[str, int]] = {}
        for row, factor in rows:
            group = sums.setdefault(self.key_of(row), {})
            for field in self._fields:
                if field.name not in self._key:
                    group[field.name] = group.get(field.name, 0) + factor * getattr(row, field.name)
        return [
            self._model.model_construct(None, **dict(zip(self._key, key, strict=True)), **numbers)
            for key, numbers in sorted(sums.items())
            if any(numbers.values())
        ]

    def _is_one_of_keys(self) -> Any:
        column = self.table.c[self._key[0]]
        return column == any_(bindparam("keys", type_=ARRAY(Text)))

    def _insert(self, merge: Callable[[Any, Any], Any]) -> str:
        names = [field.name for field in self._fields]
        arrays = [bindparam(field.name, type_=ARRAY(field.sql_type)) for field in self._fields]
        new = func.unnest(*arrays).table_valued(*names).render_derived(name="new_rows")
        statement = insert(self.table).from_select(names, select(*new.c))
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
        return SqlIndex(name, words, postgresql_using="gin")
