"""Commands from a table: which columns of a CSV file are which fields of a command."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol

from gateway.remote.connection import USAGE, CommandLineError


class Mistake(str):
    """Why a row makes no command."""

    __slots__ = ()


_NAMES = "rayleans import --help; it says how columns are to be called, and how --map tells what others are"

Rows = Iterator[tuple[int, str | Mistake]]
Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a field comes from: a column, or a value that is the same in every row."""

    path: Sequence[str]
    column: str | None
    read: Callable[[str], Any]
    value: str = ""


@dataclass(frozen=True, slots=True)
class RowMapping:
    """How one row becomes commands to one actor.

    Attributes:
        fields: of the first command; `id` is the actor's.
        then: names of commands without fields that follow it.
        beside: what the first command has beside its fields, such as `expected_version`.
    """

    actor: str
    command: str
    fields: Sequence[Source]
    then: Sequence[str] = ()
    beside: Sequence[Source] = ()

    @property
    def needed(self) -> Sequence[str]:
        """Names of the columns that it reads."""
        return [each.column for each in self.fields if each.column]

    def of_row(self, row: Row) -> RowMapping:
        """Itself: it is the same for all rows."""
        return self


class Mappings(Protocol):
    """How each row of a file becomes commands.

    Attributes:
        needed: names of the columns that the file must have.
    """

    @property
    def needed(self) -> Sequence[str]: ...

    def of_row(self, row: Row) -> RowMapping:
        """The mapping of one row."""
        ...


def row_mapping(
    actor: str, command: str, maps: Sequence[str], constants: Sequence[str], then: Sequence[str]
) -> RowMapping:
    """The mapping that options describe.

    Args:
        maps: `field=column` or `field=column:kind`; a field of a field is written `lines.0.sku`.
        constants: `field=value` or `field=value:kind`.

    Raises:
        CommandLineError: one of them cannot be understood, or none of them is the id.
    """
    fields = [_source(each, constant=False) for each in maps] + [_source(each, constant=True) for each in constants]
    if not any(list(each.path) == ["id"] for each in fields):
        raise CommandLineError("say which column is the id of the actor: --map id=COLUMN", USAGE)
    return RowMapping(actor, command, fields, then)


def csv_commands(path: Path, mappings: Mappings) -> Rows:
    """The commands of a file as JSON texts, each with the number of its line; a row that makes none is a `Mistake`.

    Raises:
        CommandLineError: the file has not the columns that are needed.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        dialect = _dialect(file.read(8192))
        file.seek(0)
        rows = csv.DictReader(file, dialect=dialect)
        missing = set(mappings.needed) - set(rows.fieldnames or [])
        if missing:
            there = ", ".join(rows.fieldnames or []) or "no columns"
            raise CommandLineError(f"{path} has no column {', '.join(sorted(missing))}; it has {there}", USAGE, _NAMES)
        for row in rows:
            try:
                if None in row:
                    raise ValueError("more cells than columns; a text with the delimiter in it stands in quotes")
                yield from ((rows.line_num, text) for text in _commands(row, mappings.of_row(row)))
            except ValueError as exc:
                yield rows.line_num, Mistake(exc)


def _commands(row: Row, mapping: RowMapping) -> Iterator[str]:
    line, beside = _values(row, mapping.fields), _values(row, mapping.beside)
    key = line.pop("id", None)
    whose = {"actor": mapping.actor or None, "id": key}
    yield json.dumps({**whose, "command": mapping.command or None, "data": line, **beside})
    for name in mapping.then:
        yield json.dumps({**whose, "command": name})


def _values(row: Row, sources: Sequence[Source]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for source in sources:
        text = source.value if source.column is None else (row[source.column] or "").strip()
        if text:
            _put(values, source, text)
    return values


def _put(line: dict[str, Any], field: Source, text: str) -> None:
    """Put a value where its path leads; parts of the path that are numbers are places in lists."""
    try:
        value = field.read(text)
    except (ValueError, InvalidOperation) as exc:
        raise ValueError(f"{field.column or '.'.join(field.path)}: {text!r} cannot be read") from exc
    place: Any = line
    for part, following in zip(field.path, [*field.path[1:], None], strict=True):
        fresh: Any = value if following is None else [] if following.isdecimal() else {}
        if isinstance(place, list):
            if int(part) > len(place):
                raise ValueError(f"{'.'.join(field.path)}: lists are filled from 0 on")
            if int(part) == len(place):
                place.append(fresh)
            place = place[int(part)]
        else:
            place = place.setdefault(part, fresh)


def _source(text: str, *, constant: bool) -> Source:
    field, equals, rest = text.partition("=")
    name, kind = name_and_kind(rest)
    if not (field and equals and name):
        raise CommandLineError(f"{text!r} is no mapping; write field=column, or field=column:kind", USAGE)
    return source(field, None if constant else name, kind, name if constant else "")


def source(field: str, column: str | None, kind: str, value: str = "") -> Source:
    """Where the value of a field comes from; without a kind it is text."""
    return Source(field.split("."), column, _KINDS[kind or "text"], value)


def name_and_kind(text: str) -> tuple[str, str]:
    """What stands before and behind the last colon; all, and no kind, when that is none."""
    name, _, kind = text.rpartition(":")
    return (name, kind) if name and kind in _KINDS else (text, "")


def _cents(text: str) -> int:
    cents = Decimal(text) * 100
    if cents != cents.to_integral_value():
        raise ValueError(f"{text} has more than two digits behind the point")
    return int(cents)


def _time(text: str) -> str:
    """`20260131`, `2026-01-31` or `2026-01-31T12:00:00Z` as the API writes times; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _dialect(sample: str) -> type[csv.Dialect]:
    try:
        return csv.Sniffer().sniff(sample, delimiters=",;\t|")
    except csv.Error:
        return csv.excel


_KINDS: Mapping[str, Callable[[str], Any]] = {"text": str, "int": int, "cents": _cents, "time": _time}
