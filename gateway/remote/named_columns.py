"""A table whose header says what its columns are: `actor`, `id`, `command`, and the fields of the commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from actors.domain.domain import Domain
from gateway.remote.csv_rows import Row, RowMapping, name_and_kind, source

_BESIDE = {"command_id": "text", "expected_version": "int"}


class NamedColumns:
    """Mappings by the names of the columns.

    A column is read as its field in the domain wants it: whole numbers, times, else text. `price:cents` says
    otherwise, and what a field is that the domain does not know.
    """

    needed = ("actor", "id", "command")

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._schema = cache(self._read_schema)

    def of_row(self, row: Row) -> RowMapping:
        """What the row is."""
        actor, command = ((row[name] or "").strip() for name in ("actor", "command"))
        schema = self._schema(actor, command)
        fields = [source("id", "id", "text")]
        for column in (each for each in row if each not in {*self.needed, *_BESIDE}):
            field, kind = name_and_kind(column)
            fields.append(source(field, column, kind or _kind(schema, field.split("."))))
        beside = [source(column, column, kind) for column, kind in _BESIDE.items() if column in row]
        return RowMapping(actor, command, fields, beside=beside)

    def _read_schema(self, actor: str, command: str) -> Mapping[str, Any]:
        decider = self._domain.decider(actor)
        model = decider.command_types.get(command) if decider else None
        return model.model_json_schema() if model else {}


def _kind(schema: Mapping[str, Any], path: Sequence[str]) -> str:
    """Of a field of a command; parts of the path that are numbers are places in lists."""
    field = schema
    for part in path:
        inside = field.get("items", {}) if part.isdecimal() else field.get("properties", {}).get(part, {})
        field = _itself(inside, schema)
    if field.get("type") == "integer":
        return "int"
    return "time" if field.get("format") == "date-time" else "text"


def _itself(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands behind a reference, and beside null."""
    if "$ref" in field:
        definition: Mapping[str, Any] = schema["$defs"][field["$ref"].rpartition("/")[2]]
        return definition
    choices = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
    return _itself(choices[0], schema) if len(choices) == 1 else field
