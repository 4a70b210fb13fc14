"""A customer: registered once, then renamed, moved, limited, put to rest and woken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.domain.decider import Command, Decider, Event, Rejection
from actors.domain.values import Amount, Email, Name, Reason

# Commands


class Register(Command):
    """Make the customer known."""

    name: Name
    email: Email
    credit_limit: Amount | None = None


class Rename(Command):
    """Give the customer another name."""

    name: Name


class ChangeEmail(Command):
    """Reach the customer at another address."""

    email: Email


class ChangeCreditLimit(Command):
    """Set how much the customer may owe; null = no limit."""

    credit_limit: Amount | None


class Deactivate(Command):
    """Put the customer to rest."""

    reason: Reason


class Reactivate(Command):
    """Wake a customer that was put to rest."""


CustomerCommand = Register | Rename | ChangeEmail | ChangeCreditLimit | Deactivate | Reactivate

# Events


class CustomerRegistered(Event):
    """The customer became known."""

    name: str
    email: str
    credit_limit: int | None


class CustomerRenamed(Event):
    """The customer has another name."""

    name: str


class CustomerEmailChanged(Event):
    """The customer has another address."""

    email: str


class CustomerCreditLimitChanged(Event):
    """The customer may owe another amount; null = no limit."""

    credit_limit: int | None


class CustomerDeactivated(Event):
    """The customer was put to rest."""

    reason: str


class CustomerReactivated(Event):
    """The customer is active again."""


CustomerEvent = (
    CustomerRegistered
    | CustomerRenamed
    | CustomerEmailChanged
    | CustomerCreditLimitChanged
    | CustomerDeactivated
    | CustomerReactivated
)

# State


class Customer(Struct, frozen=True):
    """What decisions about a customer need to know."""

    registered: bool = False
    active: bool = False
    name: str = ""
    email: str = ""
    credit_limit: int | None = None


# Rejections


class CustomerAlreadyRegistered(Rejection):
    """A customer is registered once."""

    code: ClassVar[str] = "customer-already-registered"

    def __str__(self) -> str:
        return "the customer is already registered; rename it, or change its email or limit"


class CustomerNotRegistered(Rejection):
    """Only a registered customer can change."""

    code: ClassVar[str] = "customer-not-registered"
    absent: ClassVar[bool] = True

    def __str__(self) -> str:
        return "the customer is not registered; register it first"


class CustomerInactive(Rejection):
    """Only an active customer can change."""

    code: ClassVar[str] = "customer-inactive"

    def __str__(self) -> str:
        return "the customer is inactive; reactivate it first"


# Decide


def decide(command: CustomerCommand, customer: Customer) -> Sequence[CustomerEvent]:
    """The events that follow from a command; none when it is already true."""
    match command:
        case Register() if customer.registered:
            raise CustomerAlreadyRegistered
        case Register():
            return [CustomerRegistered(name=command.name, email=command.email, credit_limit=command.credit_limit)]
        case _ if not customer.registered:
            raise CustomerNotRegistered
        case Deactivate():
            return [CustomerDeactivated(reason=command.reason)] if customer.active else []
        case Reactivate():
            return [] if customer.active else [CustomerReactivated()]
        case _ if not customer.active:
            raise CustomerInactive
        case _:
            return _change(command, customer)


def _change(command: Rename | ChangeEmail | ChangeCreditLimit, customer: Customer) -> Sequence[CustomerEvent]:
    match command:
        case Rename():
            return [] if command.name == customer.name else [CustomerRenamed(name=command.name)]
        case ChangeEmail():
            same = command.email.casefold() == customer.email.casefold()
            return [] if same else [CustomerEmailChanged(email=command.email)]
        case ChangeCreditLimit():
            same = command.credit_limit == customer.credit_limit
            return [] if same else [CustomerCreditLimitChanged(credit_limit=command.credit_limit)]
        case _:
            assert_never(command)


# Evolve


def evolve(customer: Customer, event: CustomerEvent) -> Customer:
    """The customer after one event."""
    match event:
        case CustomerRegistered():
            return Customer(True, True, event.name, event.email, event.credit_limit)
        case CustomerRenamed():
            return replace(customer, name=event.name)
        case CustomerEmailChanged():
            return replace(customer, email=event.email)
        case CustomerCreditLimitChanged():
            return replace(customer, credit_limit=event.credit_limit)
        case CustomerDeactivated():
            return replace(customer, active=False)
        case CustomerReactivated():
            return replace(customer, active=True)
        case _:
            assert_never(event)


# Binding

CUSTOMER: Decider[CustomerCommand, CustomerEvent, Customer] = Decider(
    category="customer",
    collection="customers",
    initial=Customer(),
    decide=decide,
    evolve=evolve,
    command_types={
        "register": Register,
        "rename": Rename,
        "change-email": ChangeEmail,
        "change-credit-limit": ChangeCreditLimit,
        "deactivate": Deactivate,
        "reactivate": Reactivate,
    },
    event_types={
        "CustomerRegistered": CustomerRegistered,
        "CustomerRenamed": CustomerRenamed,
        "CustomerEmailChanged": CustomerEmailChanged,
        "CustomerCreditLimitChanged": CustomerCreditLimitChanged,
        "CustomerDeactivated": CustomerDeactivated,
        "CustomerReactivated": CustomerReactivated,
    },
)
