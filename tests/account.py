"""A third kind of actor, as a team would bring its own: one module, outside the packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, assert_never

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ConfigDict

from actors.domain.decider import Command, Decider, Event, Rejection
from actors.domain.upcast import Upcast


class Open(Command):
    owner: str
    note: str = ""


class Found(Command):
    """Open an account with something in it: two events."""

    owner: str
    amount: int


class Deposit(Command):
    amount: int


class Withdraw(Command):
    amount: int


class Weigh(Command):
    """What it leads to cannot always be stored."""

    model_config = ConfigDict(allow_inf_nan=True)

    weight: float


class Audit(Command):
    """Has a bug, to see what becomes of its neighbours."""


AccountCommand = Open | Found | Deposit | Withdraw | Weigh | Audit


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int


class Withdrawn(Event):
    amount: int


class Weighed(Event):
    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="constants")

    weight: float


AccountEvent = Opened | Deposited | Withdrawn | Weighed


def with_owner(data: dict[str, Any]) -> dict[str, Any]:
    """The first release called the owner by another name, and the event too."""
    return {"owner": data["name"]}


class Account(Struct, frozen=True):
    owner: str | None = None
    balance: int = 0


class NotOpen(Rejection):
    code: ClassVar[str] = "account-not-open"
    absent: ClassVar[bool] = True

    def __str__(self) -> str:
        return "the account is not open"


class AlreadyOpen(Rejection):
    code: ClassVar[str] = "account-already-open"

    def __str__(self) -> str:
        return "the account is open already"


class InsufficientFunds(Rejection):
    code: ClassVar[str] = "account-insufficient-funds"

    def __str__(self) -> str:
        return "the account has less than that"


def decide(command: AccountCommand, account: Account) -> Sequence[AccountEvent]:
    match command:
        case Audit():
            raise ZeroDivisionError("a bug")
        case Open():
            return [] if account.owner else [Opened(owner=command.owner)]
        case Found() if account.owner is None:
            return [Opened(owner=command.owner), Deposited(amount=command.amount)]
        case Found():
            raise AlreadyOpen
        case _ if account.owner is None:
            raise NotOpen
        case Deposit():
            return [Deposited(amount=command.amount)]
        case Withdraw() if command.amount > account.balance:
            raise InsufficientFunds
        case Withdraw():
            return [Withdrawn(amount=command.amount)]
        case Weigh():
            return [Weighed(weight=command.weight)]
        case _:
            assert_never(command)


def evolve(account: Account, event: AccountEvent) -> Account:
    match event:
        case Opened():
            return replace(account, owner=event.owner)
        case Deposited():
            return replace(account, balance=account.balance + event.amount)
        case Withdrawn():
            return replace(account, balance=account.balance - event.amount)
        case Weighed():
            return account
        case _:
            assert_never(event)


ACCOUNT: Decider[AccountCommand, AccountEvent, Account] = Decider(
    category="account",
    collection="accounts",
    initial=Account(),
    decide=decide,
    evolve=evolve,
    command_types={
        "open": Open,
        "found": Found,
        "deposit": Deposit,
        "withdraw": Withdraw,
        "weigh": Weigh,
        "audit": Audit,
    },
    event_types={"Opened": Opened, "Deposited": Deposited, "Withdrawn": Withdrawn, "Weighed": Weighed},
    upcasts={"AccountOpened": Upcast("Opened", with_owner)},
)
