from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.domain.customer import Register, Rename
from actors.domain.order import AddLine, Create


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "x" * 201,
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\u202eb",
        "\ud800",
        5,
        None,
        ["a"],
        True,
    ],
)
def test_name_that_is_none(name: object) -> None:
    with pytest.raises(ValidationError):
        Register.model_validate_json(json.dumps({"name": name, "email": "a@example.com"}))


def test_name_is_trimmed() -> None:
    assert Register(name="  Zoë O'Neil ", email="a@example.com").name == "Zoë O'Neil"


def test_surrogate_without_its_other_half_is_no_text_in_python_either() -> None:
    with pytest.raises(ValidationError):
        Register(name="\ud800", email="a@example.com")


@pytest.mark.parametrize("name", ["x" * 200, "山田\u3000太郎", "علی\u200cرضا", "👨\u200d👩", "a\u00a0b", "\U0001fae9"])
def test_name_in_any_script_is_kept_to_the_letter(name: str) -> None:
    assert Register(name=name, email="a@example.com").name == name


@pytest.mark.parametrize("sku", ["", " ", "x" * 65, "a\tb"])
def test_sku_that_is_none(sku: str) -> None:
    with pytest.raises(ValidationError):
        AddLine(sku=sku, quantity=1, unit_price=1)


@pytest.mark.parametrize("quantity", [0, -1, 1.0, "1", True, None])
def test_quantity_that_is_none(quantity: object) -> None:
    line = {"sku": "cd", "quantity": quantity, "unit_price": 1}
    with pytest.raises(ValidationError):
        Create.model_validate_json(json.dumps({"customer_id": "a", "currency": "USD", "lines": [line]}))


@pytest.mark.parametrize("quantity", [1, 1_000_001, 2**63, 10**300])
def test_quantity_is_any_number_from_one_on(quantity: int) -> None:
    line = AddLine.model_validate_json(f'{{"sku": "cd", "quantity": {quantity}, "unit_price": 1}}')
    assert AddLine.model_validate_json(line.model_dump_json()).quantity == quantity


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "a@",
        "@example.com",
        "a b@example.com",
        f"{'a' * 250}@example.com",
        "Alice <alice@example.com>",
        "<alice@example.com>",
    ],
)
def test_address_that_is_none(email: str) -> None:
    with pytest.raises(ValidationError):
        Register(name="A", email=email)


def test_address_keeps_the_letters_of_its_mailbox() -> None:
    assert Register(name="A", email=" Alice@EXAMPLE.com ").email == "Alice@example.com"


@pytest.mark.parametrize("limit", [-1, 10**15 + 1, 2**63, 1.5, "5", True])
def test_amount_that_is_none(limit: object) -> None:
    with pytest.raises(ValidationError):
        Register.model_validate_json(json.dumps({"name": "A", "email": "a@example.com", "credit_limit": limit}))


@pytest.mark.parametrize("key", ["", "a" * 65, "a b", "a/b", "ä", "a\n"])
def test_id_that_is_none(key: str) -> None:
    with pytest.raises(ValidationError):
        Create(customer_id=key, currency="USD")


@pytest.mark.parametrize("currency", ["usd", "US", "USDX", "U$D", "USD\n"])
def test_currency_that_is_none(currency: str) -> None:
    with pytest.raises(ValidationError):
        Create(customer_id="a", currency=currency)


def test_time_is_kept_in_utc() -> None:
    body = '{"customer_id": "a", "currency": "USD", "ordered_at": "2026-01-31T23:30:00-02:00"}'
    created = Create.model_validate_json(body)
    assert created.ordered_at is not None
    assert created.ordered_at.isoformat() == "2026-02-01T01:30:00+00:00"


def test_time_of_a_program_is_kept_in_utc_too() -> None:
    there = timezone(timedelta(hours=-2))
    created = Create(customer_id="a", currency="USD", ordered_at=datetime(2026, 1, 31, 23, 30, tzinfo=there))
    assert created.ordered_at is not None
    assert created.ordered_at.isoformat() == "2026-02-01T01:30:00+00:00"


def test_time_without_an_offset_is_refused_from_a_program_too() -> None:
    with pytest.raises(ValidationError):
        Create(customer_id="a", currency="USD", ordered_at=datetime(2026, 1, 31))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-31T23:30:00",
        "2026-01-31",
        "2026-01-31 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "yesterday",
        1769902200,
        "1769902200",
        True,
        "0001-01-01T00:00:00+10:00",
        "0001-01-01T00:00:00Z",
        "0001-01-02T01:00:00+02:00",
        "9999-12-31T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-30T23:00:00-02:00",
    ],
)
def test_time_that_is_none(moment: object) -> None:
    with pytest.raises(ValidationError):
        Create.model_validate_json(json.dumps({"customer_id": "a", "currency": "USD", "ordered_at": moment}))


@pytest.mark.parametrize("moment", ["0001-01-02T00:00:00Z", "9999-12-30T23:59:59.999999Z"])
def test_first_and_last_time_that_views_can_hold(moment: str) -> None:
    created = Create.model_validate_json(json.dumps({"customer_id": "a", "currency": "USD", "ordered_at": moment}))
    assert created.ordered_at == datetime.fromisoformat(moment)


@given(st.text())
def test_name_comes_back_from_the_log_as_it_went_in(text: str) -> None:
    try:
        command = Rename(name=text)
    except ValidationError:
        return
    assert Rename.model_validate_json(command.model_dump_json()) == command
    assert "\0" not in command.name
    assert 1 <= len(command.name) <= 200
