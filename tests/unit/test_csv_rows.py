from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.remote.connection import CommandLineError
from gateway.remote.csv_rows import Mistake, csv_commands, row_mapping
from gateway.remote.importer import check_file, read_lines
from gateway.remote.named_columns import NamedColumns
from projections.standard import STANDARD

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


def named(file: Path, text: str) -> list[Any]:
    file.write_text(text)
    rows = csv_commands(file, NamedColumns(STANDARD))
    return [text if isinstance(text, Mistake) else json.loads(text) for _, text in rows]


def test_header_says_what_the_columns_are(file: Path) -> None:
    found = named(
        file,
        "id;command;customer_id;currency;ordered_at;lines.0.sku;lines.0.quantity;lines.0.unit_price:cents;actor;reason\n"
        "o1;create;4;USD;2026-01-31;7;2;12.99;order;\n"
        "o1;cancel;;;;;;;order;7\n",
    )

    line = {"sku": "7", "quantity": 2, "unit_price": 1299}
    create = {"customer_id": "4", "currency": "USD", "ordered_at": "2026-01-31T00:00:00Z", "lines": [line]}
    assert found == [
        {"actor": "order", "id": "o1", "command": "create", "data": create},
        {"actor": "order", "id": "o1", "command": "cancel", "data": {"reason": "7"}},
    ]


def test_column_is_read_as_the_command_of_its_row_wants_it(file: Path) -> None:
    found = named(
        file,
        "actor,id,command,credit_limit,expected_version,command_id\n"
        "customer,a,change-credit-limit,500,1,\n"
        "customer,a,unknown,500,,0192f0c1-2f3e-7abc-8def-0123456789ab\n"
        "unknown,a,change-credit-limit,500,,\n"
        "customer,a,change-credit-limit,5.5,,\n",
    )

    assert [(each["data"], each.get("expected_version"), each.get("command_id")) for each in found[:3]] == [
        ({"credit_limit": 500}, 1, None),
        ({"credit_limit": "500"}, None, "0192f0c1-2f3e-7abc-8def-0123456789ab"),
        ({"credit_limit": "500"}, None, None),
    ]
    assert found[3] == "credit_limit: '5.5' cannot be read"


def test_row_without_actor_id_or_command_is_found_before_anything_is_sent(file: Path) -> None:
    file.write_text("actor,id,command\n,a,rename\ncustomer,,rename\ncustomer,a,\n")

    with pytest.raises(CommandLineError, match=r"(?s)line 2: actor: .*line 3: id: .*line 4: command: "):
        check_file(file, csv_commands(file, NamedColumns(STANDARD)))


def test_comma_that_stands_in_no_quotes_does_not_cut_a_value(file: Path) -> None:
    found = commands(file, 'id,name\na,Smith, Alice\nb,"Smith, Bob"\n', "id=id", "name=name")

    assert isinstance(found[0], Mistake)
    assert found[1]["data"] == {"name": "Smith, Bob"}


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
