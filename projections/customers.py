"""The customer directory: every customer as they are now, found by name or address; how many are active."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any, Literal
from unicodedata import category

import asyncpg
import msgspec
from pydantic import BaseModel
from sqlalchemy import BigInteger, Select, Text, bindparam, cast, func, literal_column, select, text, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY

from actors.domain.customer import (
    CUSTOMER,
    CustomerCreditLimitChanged,
    CustomerDeactivated,
    CustomerEmailChanged,
    CustomerReactivated,
    CustomerRegistered,
    CustomerRenamed,
)
from projections.errors import InvalidCursor
from projections.page import Page, cut, read_cursor
from projections.projection import Index, Projection, Recorded, Tally
from projections.query import Query, row_table, tally_table
from projections.view_reader import Seen, ViewReader, read_rows

Status = Literal["active", "inactive"]
Sort = Literal["name", "-name", "registered_at", "-registered_at"]

# Rows


class Customer(BaseModel):
    """A customer as they are now."""

    id: str
    name: str
    email: str
    status: Status
    credit_limit: int | None
    version: int
    registered_at: datetime
    updated_at: datetime


class CustomerRow(Customer):
    """A customer, and what is for finding it: the folded name; what begins with a word of the name; the address."""

    sort_name: str
    words: str


class CustomersByStatus(BaseModel):
    """How many customers have a status."""

    status: str
    customers: int


# Folds


def registered(_: CustomerRow | None, event: Recorded[CustomerRegistered]) -> CustomerRow:
    """A new customer."""
    return CustomerRow(
        id=event.key,
        name=event.data.name,
        email=event.data.email,
        status="active",
        credit_limit=event.data.credit_limit,
        version=event.version,
        registered_at=event.recorded_at,
        updated_at=event.recorded_at,
        sort_name=event.data.name.casefold(),
        words=_words(event.data.name, event.data.email),
    )


def renamed(row: CustomerRow | None, event: Recorded[CustomerRenamed]) -> CustomerRow | None:
    """Another name."""
    name = event.data.name
    return row and _changed(row, event, name=name, sort_name=name.casefold(), words=_words(name, row.email))


def email_changed(row: CustomerRow | None, event: Recorded[CustomerEmailChanged]) -> CustomerRow | None:
    """Another address."""
    return row and _changed(row, event, email=event.data.email, words=_words(row.name, event.data.email))


def credit_limit_changed(row: CustomerRow | None, event: Recorded[CustomerCreditLimitChanged]) -> CustomerRow | None:
    """Another limit."""
    return row and _changed(row, event, credit_limit=event.data.credit_limit)


def deactivated(row: CustomerRow | None, event: Recorded[CustomerDeactivated]) -> CustomerRow | None:
    """Put to rest."""
    return row and _changed(row, event, status="inactive")


def reactivated(row: CustomerRow | None, event: Recorded[CustomerReactivated]) -> CustomerRow | None:
    """Active again."""
    return row and _changed(row, event, status="active")


def _changed(row: CustomerRow, event: Recorded[Any], **fields: object) -> CustomerRow:
    return row.model_copy(update={**fields, "version": event.version, "updated_at": event.recorded_at})


def _words(name: str, email: str) -> str:
    parts = name.casefold().split()
    found = [word for part in parts for word in ((part,) if part.isalnum() else _words_of(part))]
    return " ".join([*found, email.casefold()])


def _words_of(part: str) -> Iterator[str]:
    """A part of a name, whole and from each word in it on; one begins after what is neither letter nor digit."""
    yield part
    within = part[0].isalnum()
    for place, character in enumerate(part):
        if character.isalnum():
            if not within:
                yield part[place:]
            within = True
        elif not category(character).startswith("M"):  # a mark belongs to its letter
            within = False


# Projection


@cache
def _one(status: Status) -> CustomersByStatus:
    return CustomersByStatus(status=status, customers=1)


CUSTOMERS_BY_STATUS = Tally(
    name="customers_by_status",
    row=CustomersByStatus,
    key=("status",),
    contribution=lambda row: _one(row.status),
)

CUSTOMERS = Projection(
    name="customers",
    row=CustomerRow,
    key="id",
    sources=(CUSTOMER,),
    on={
        CustomerRegistered: registered,
        CustomerRenamed: renamed,
        CustomerEmailChanged: email_changed,
        CustomerCreditLimitChanged: credit_limit_changed,
        CustomerDeactivated: deactivated,
        CustomerReactivated: reactivated,
    },
    revision=2,
    tallies=(CUSTOMERS_BY_STATUS,),
    indexes=(Index(("sort_name", "id")), Index(("registered_at", "id")), Index(("words",), kind="words")),
)

# Queries


class NameCursor(msgspec.Struct, frozen=True, array_like=True, tag="name"):
    """Where a page by name ended."""

    descending: bool
    sort_name: str
    id: str


class AgeCursor(msgspec.Struct, frozen=True, array_like=True, tag="registered_at"):
    """Where a page by time of registration ended."""

    descending: bool
    registered_at: datetime
    id: str


async def find_customers(
    reader: ViewReader, *, status: Status | None, search: str | None, sort: Sort, limit: int, cursor: str | None
) -> Seen[Page[CustomerRow]]:
    """Customers of a status; with `search`, those whose name has a word that begins so, or whose address does.

    A word begins after anything that is neither a letter nor a digit. Of several words in `search` each must be found.

    Raises:
        InvalidCursor: `cursor` is none, or one of another sort.
        ViewsUnavailable: as `ViewReader.get`.
    """
    arguments: dict[str, object] = {"limit": limit + 1}
    if cursor is not None:
        arguments |= _after(sort, cursor)
    if status is not None:
        arguments["status"] = status
    words = search.split() if search else []
    if words:
        arguments["words"] = _beginnings(words)
        near = await reader.select(CUSTOMERS, _finding(sort, frozenset(arguments), near=True), **arguments)
        if len(near.value) > limit:
            return _page(near, limit, sort)
    return _page(await reader.select(CUSTOMERS, _finding(sort, frozenset(arguments)), **arguments), limit, sort)


async def count_customers(reader: ViewReader) -> Seen[dict[str, int]]:
    """How many customers are active and inactive. Raises as `ViewReader.get`."""
    seen = await reader.select(CUSTOMERS, _counting())
    counts = {record["status"]: int(record["customers"]) for record in seen.value}
    return Seen({status: counts.get(status, 0) for status in ("active", "inactive")}, seen.checkpoint)


def _end(sort: Sort, row: CustomerRow) -> NameCursor | AgeCursor:
    if sort.endswith("name"):
        return NameCursor(sort.startswith("-"), row.sort_name, row.id)
    return AgeCursor(sort.startswith("-"), row.registered_at, row.id)


def _after(sort: Sort, cursor: str) -> dict[str, object]:
    by_name = sort.endswith("name")
    end: NameCursor | AgeCursor = read_cursor(cursor, NameCursor) if by_name else read_cursor(cursor, AgeCursor)
    if end.descending != sort.startswith("-"):
        raise InvalidCursor
    value = end.sort_name if isinstance(end, NameCursor) else end.registered_at
    return {"after_value": value, "after_id": end.id}


@cache
def _counting() -> Query:
    return Query(select(tally_table(CUSTOMERS_BY_STATUS).table))


# Whether a search is fast in the order of the answer or by the index of words depends on how many customers it finds
# and where in the order they are, which the planner cannot know. So the order is tried first, but not far: a search
# that finds many ends there at once. One that finds few, or finds them late, uses the index and sorts what it finds.
NEAR_ROWS = 10_000


@cache
def _finding(sort: Sort, given: frozenset[str], *, near: bool = False) -> Query:
    rows = row_table(CUSTOMERS).table
    rest = select(rows)
    if "after_id" in given:
        value = rows.c[_sorted_by(sort)]
        here = tuple_(value, rows.c.id)
        there = tuple_(bindparam("after_value", type_=value.type), bindparam("after_id", type_=Text()))
        rest = rest.where(here < there if sort.startswith("-") else here > there)
    if near:
        rest = rest.order_by(*_order(sort, rows)).limit(literal_column(str(NEAR_ROWS)))
    wanted = _wanted(given, rest.subquery("rest"))
    if "words" in given and not near:
        wanted = wanted.offset(literal_column("0"))  # the planner does not look past it
    found = wanted.subquery("wanted")
    order = _order(sort, found)
    return Query(select(found).order_by(*order).limit(bindparam("limit", type_=BigInteger())), *order)


def _wanted(given: frozenset[str], rows: Any) -> Select[Any]:
    query = select(rows)
    if "status" in given:
        query = query.where(rows.c.status == bindparam("status", type_=Text()))
    if "words" in given:
        words = func.array_to_tsvector(func.string_to_array(rows.c.words, text("' '")))
        query = query.where(words.bool_op("@@")(cast(bindparam("words", type_=Text()), TSQUERY)))
    return query


def _sorted_by(sort: Sort) -> str:
    return sort.removeprefix("-") if sort.endswith("registered_at") else "sort_name"


def _order(sort: Sort, rows: Any) -> Sequence[Any]:
    columns = [rows.c[_sorted_by(sort)], rows.c.id]
    return [column.desc() for column in columns] if sort.startswith("-") else columns


def _page(seen: Seen[list[asyncpg.Record]], limit: int, sort: Sort) -> Seen[Page[CustomerRow]]:
    return Seen(cut(read_rows(CUSTOMERS, seen.value), limit, partial(_end, sort)), seen.checkpoint)


def _beginnings(words: Sequence[str]) -> str:
    """The text of a `tsquery` for words that begin so, all of them."""
    quoted = (word.casefold().replace("\\", "\\\\").replace("'", "''") for word in words)
    return " & ".join(f"'{word}':*" for word in quoted)
