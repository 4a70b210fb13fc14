from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from actors.domain.customer import Register
from actors.domain.order import Create


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\u0000b", "a\nb", "a\x7fb", "a\u202eb", 5, None, ["a"], True])
def test_name_that_is_none(name: object) -> None:
    with pytest.raises(ValidationError):
        Register.model_validate_json(json.dumps({"name": name, "email": "a@example.com"}))


def test_name_is_trimmed() -> None:
    assert Register(name="  Zoë O'Neil ", email="a@example.com").name == "Zoë O'Neil"


@pytest.mark.parametrize("email", ["", "a", "a@", "@example.com", "a b@example.com", f"{'a' * 250}@example.com"])
def test_address_that_is_none(email: str) -> None:
    with pytest.raises(ValidationError):
        Register(name="A", email=email)


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


@pytest.mark.parametrize("moment", ["2026-01-31T23:30:00", "yesterday", 1769902200, "0001-01-01T00:00:00+10:00"])
def test_time_that_is_none(moment: object) -> None:
    with pytest.raises(ValidationError):
        Create.model_validate_json(json.dumps({"customer_id": "a", "currency": "USD", "ordered_at": moment}))
