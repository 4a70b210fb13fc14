from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.domain.domain import Domain, DomainError, load_domain
from projections.projection import projections_of
from projections.standard import STANDARD
from tests.account import ACCOUNT
from tests.account_domain import ACCOUNTS, BANK


def test_domain_is_found_by_its_name() -> None:
    assert load_domain("tests.account_domain:BANK") is BANK
    assert load_domain("projections.standard:STANDARD") is STANDARD


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tests.account_domain", "module:attribute"),
        (":BANK", "module:attribute"),
        ("no.such.module:BANK", "cannot be imported"),
        ("tests.account_domain:NOTHING", "is not a Domain"),
        ("tests.account:ACCOUNT", "is not a Domain"),
    ],
)
def test_name_that_leads_to_no_domain_says_why(path: str, said: str) -> None:
    with pytest.raises(DomainError, match=said):
        load_domain(path)


def test_parts_of_a_domain_have_names_of_their_own() -> None:
    with pytest.raises(DomainError, match="category: account"):
        Domain([ACCOUNT, replace(ACCOUNT, collection="others")])
    with pytest.raises(DomainError, match="projection: accounts"):
        Domain([ACCOUNT], [ACCOUNTS, ACCOUNTS])
    with pytest.raises(DomainError, match="category: operator"):
        Domain([replace(ACCOUNT, category="operator")])


def test_only_projections_can_be_projected() -> None:
    class Pretender:
        name = "pretender"

    with pytest.raises(DomainError, match="is no Projection"):
        projections_of(Domain([ACCOUNT], [Pretender()]))


@pytest.mark.parametrize("category", ["", "a-b", "Account", "1st", "a b"])
def test_category_keeps_stream_names_clear(category: str) -> None:
    with pytest.raises(ValueError, match="is no category"):
        replace(ACCOUNT, category=category)


def test_class_stands_under_one_name_only() -> None:
    with pytest.raises(ValueError, match="two names"):
        replace(ACCOUNT, command_types={**ACCOUNT.command_types, "unlock": ACCOUNT.command_types["open"]})


def test_state_that_cannot_be_kept_is_told_at_once() -> None:
    state: Any = iter("a")

    with pytest.raises(ValueError, match=r"'account': msgspec cannot write a str_\w*iterator .* frozen msgspec.Struct"):
        replace(ACCOUNT, initial=state)
