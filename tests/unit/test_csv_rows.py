from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.remote.connection import CommandLineError
from gateway.remote.csv_rows import Mistake, csv_commands, row_mapping
from gateway.remote.importer import check_file, read_lines

PURCHASES = """order;customer;day;count;price
o1;4;19970101;2;29.33
o2;4;1997-01-18T08:30:00+02:00;;14.9
"""


def commands(
    file: Path, text: str, *maps: str, constants: tuple[str, ...] = (), then: tuple[str, ...] = ()
) -> list[Any]:
    file.write_text(text)
    mapping = row_mapping("order", "create", maps, constants, then)
    return [text if isinstance(text, Mistake) else json.loads(text) for _, text in csv_commands(file, mapping)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_row_becomes_a_command_and_what_follows_it(file: Path) -> None:
    maps = ["id=order", "customer_id=customer", "ordered_at=day:time"]
    maps += ["lines.0.quantity=count:int", "lines.0.unit_price=price:cents"]
    found = commands(file, PURCHASES, *maps, constants=("currency=USD", "lines.0.sku=cd"), then=("place",))

    assert found[:2] == [
        {
            "actor": "order",
            "id": "o1",
            "command": "create",
            "data": {
                "customer_id": "4",
                "ordered_at": "1997-01-01T00:00:00Z",
                "lines": [{"quantity": 2, "unit_price": 2933, "sku": "cd"}],
                "currency": "USD",
            },
        },
        {"actor": "order", "id": "o1", "command": "place"},
    ]
    assert found[2]["data"]["ordered_at"] == "1997-01-18T06:30:00Z"
    assert found[2]["data"]["lines"] == [{"unit_price": 1490, "sku": "cd"}]


@pytest.mark.parametrize(
    ("field", "cell"),
    [("n=n:int", "1.5"), ("n=n:cents", "1.234"), ("n=n:cents", "much"), ("n=n:time", "yesterday"), ("n.1=n", "x")],
)
def test_cell_that_cannot_be_read_is_a_mistake_of_its_row(file: Path, field: str, cell: str) -> None:
    if field.startswith("n.1"):
        found = commands(file, f"id,n\na,{cell}\n", "id=id", field)
    else:
        found = commands(file, f"id,n\na,{cell}\nb,\n", "id=id", field)
        assert found[1]["id"] == "b"
    assert isinstance(found[0], Mistake)
    assert "n" in found[0]


def test_column_may_be_called_like_a_kind_with_a_colon(file: Path) -> None:
    (found,) = commands(file, "id,net:price\na,7\n", "id=id", "price=net:price")

    assert found["data"] == {"price": "7"}


@pytest.mark.parametrize("maps", [(), ("name=name",), ("id",), ("id=",), ("=id",)])
def test_mapping_that_says_nothing_is_refused(maps: tuple[str, ...]) -> None:
    with pytest.raises(CommandLineError):
        row_mapping("customer", "register", maps, (), ())


def test_column_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(CommandLineError, match="no column nam; it has id, name"):
        commands(file, "id,name\na,A\n", "id=id", "name=nam")


def test_bad_rows_are_found_before_anything_is_sent(file: Path) -> None:
    file.write_text("id,n\na,1\nb,one\n,3\n")
    mapping = row_mapping("account", "deposit", ["id=id", "amount=n:int"], [], [])

    with pytest.raises(CommandLineError, match=r"(?s)line 3: n: 'one' cannot be read.*line 4: id"):
        check_file(file, csv_commands(file, mapping))


def test_same_file_makes_the_same_command_ids(file: Path) -> None:
    file.write_text("id,n\na,1\na,1\n")
    mapping = row_mapping("account", "deposit", ["id=id", "amount=n:int"], [], [])
    first, second = ([line.body for line in read_lines(csv_commands(file, mapping))] for _ in range(2))

    assert first == second
    assert len(set(first)) == 2
