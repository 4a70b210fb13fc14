"""A whole domain of somebody else: accounts, and a view of them."""

from __future__ import annotations

from pydantic import BaseModel

from actors.domain.domain import Domain
from projections.projection import Projection, Recorded, Tally
from tests.account import ACCOUNT, Deposited, Opened, Withdrawn


class AccountRow(BaseModel):
    id: str
    owner: str
    balance: int
    note: str | None = None


class Balances(BaseModel):
    owner: str
    accounts: int
    balance: int


def opened(_: AccountRow | None, event: Recorded[Opened]) -> AccountRow:
    return AccountRow(id=event.key, owner=event.data.owner, balance=0)


def deposited(row: AccountRow | None, event: Recorded[Deposited]) -> AccountRow | None:
    return row and row.model_copy(update={"balance": row.balance + event.data.amount})


def withdrawn(row: AccountRow | None, event: Recorded[Withdrawn]) -> AccountRow | None:
    """An account that is emptied leaves the view."""
    if row is None or row.balance == event.data.amount:
        return None
    return row.model_copy(update={"balance": row.balance - event.data.amount})


BALANCES = Tally(
    name="balances",
    row=Balances,
    key=("owner",),
    contribution=lambda row: Balances(owner=row.owner, accounts=1, balance=row.balance),
)

ACCOUNTS = Projection(
    name="accounts",
    row=AccountRow,
    key="id",
    sources=(ACCOUNT,),
    on={Opened: opened, Deposited: deposited, Withdrawn: withdrawn},
    tallies=(BALANCES,),
)

BANK = Domain(deciders=[ACCOUNT], projections=[ACCOUNTS])
