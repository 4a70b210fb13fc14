"""An order: created for a customer, filled with lines, placed, then shipped or cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, ClassVar, assert_never

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic import Field

from actors.domain.decider import Command, Decider, Event, Rejection
from actors.domain.values import (
    LARGEST_AMOUNT,
    Amount,
    Currency,
    Key,
    Occasion,
    Quantity,
    Reason,
    Sku,
)

MOST_LINES = 500

# A total bounds what has a price. What has none, added again and again, must stay a number that all JSON readers have.
LARGEST_QUANTITY = LARGEST_AMOUNT

# Commands


class AddLine(Command):
    """Put something on the order."""

    sku: Sku
    quantity: Quantity
    unit_price: Amount


class Create(Command):
    """Begin an order, empty or with its first lines."""

    customer_id: Key
    currency: Currency
    lines: Annotated[tuple[AddLine, ...], Field(max_length=MOST_LINES, strict=False)] = ()
    ordered_at: Annotated[Occasion | None, Field(description="When it was ordered; null = when it is recorded.")] = None


class RemoveLine(Command):
    """Take something off the order."""

    sku: Sku


class Place(Command):
    """Make the order binding."""


class Cancel(Command):
    """Call the order off."""

    reason: Reason


class Ship(Command):
    """Send the order on its way."""


OrderCommand = Create | AddLine | RemoveLine | Place | Cancel | Ship

# Events


class OrderCreated(Event):
    """An order began; `ordered_at` None = when this event was recorded."""

    customer_id: str
    currency: str
    ordered_at: datetime | None


class OrderLineAdded(Event):
    """So many more of a thing are on the order."""

    sku: str
    quantity: int
    unit_price: int


class OrderLineRemoved(Event):
    """A thing is off the order."""

    sku: str


class OrderPlaced(Event):
    """The order became binding, at this total."""

    total: int


class OrderCancelled(Event):
    """The order was called off."""

    reason: str


class OrderShipped(Event):
    """The order is on its way."""


OrderEvent = OrderCreated | OrderLineAdded | OrderLineRemoved | OrderPlaced | OrderCancelled | OrderShipped

# State


class Status(Enum):
    """Where an order stands."""

    NEW = "new"
    OPEN = "open"
    PLACED = "placed"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Line(Struct, frozen=True):
    """So many of a thing, at a price."""

    quantity: int
    unit_price: int


class Order(Struct, frozen=True):
    """What decisions about an order need to know; `lines` by sku, in the order in which they came."""

    status: Status = Status.NEW
    lines: Mapping[str, Line] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Sum of all lines, in the minor unit of the currency."""
        return sum(line.quantity * line.unit_price for line in self.lines.values())


# Rejections


class OrderAlreadyCreated(Rejection):
    """An order begins once."""

    code: ClassVar[str] = "order-already-created"

    def __str__(self) -> str:
        return "the order already exists; add lines to it, or create one with another id"


class OrderNotCreated(Rejection):
    """Only an order that exists can change."""

    code: ClassVar[str] = "order-not-created"
    absent: ClassVar[bool] = True

    def __str__(self) -> str:
        return "the order does not exist; create it first"


class OrderNotOpen(Rejection):
    """Lines and the placing belong to an open order."""

    code: ClassVar[str] = "order-not-open"

    def __str__(self) -> str:
        return "the order is not open any more; create another one"


class OrderLineUnknown(Rejection):
    """Only what is on the order can be taken off."""

    code: ClassVar[str] = "order-line-unknown"

    def __str__(self) -> str:
        return "the order has no line with this sku; look at its lines"


class OrderLinePriceDiffers(Rejection):
    """A thing has one price on an order."""

    code: ClassVar[str] = "order-line-price-differs"

    def __str__(self) -> str:
        return "the order has this sku at another price; remove the line first"


class OrderTooLarge(Rejection):
    """Totals and quantities stay within what an amount can hold."""

    code: ClassVar[str] = "order-too-large"

    def __str__(self) -> str:
        return (
            f"an order holds at most {MOST_LINES} lines, a quantity of {LARGEST_QUANTITY} in each, "
            f"and a total of {LARGEST_AMOUNT}; create another one for the rest"
        )


class OrderEmpty(Rejection):
    """There is nothing to place."""

    code: ClassVar[str] = "order-empty"

    def __str__(self) -> str:
        return "the order has no lines; add one first"


class OrderShippedAlready(Rejection):
    """What is on its way cannot be called off."""

    code: ClassVar[str] = "order-shipped"

    def __str__(self) -> str:
        return "the order is already on its way; it cannot be called off any more"


class OrderNotPlaced(Rejection):
    """Only a binding order is sent."""

    code: ClassVar[str] = "order-not-placed"

    def __str__(self) -> str:
        return "the order is not placed; place it first"


# Decide


def decide(command: OrderCommand, order: Order) -> Sequence[OrderEvent]:
    """The events that follow from a command; none when it is already true."""
    match command:
        case Create() if order.status is not Status.NEW:
            raise OrderAlreadyCreated
        case Create():
            return _create(command, order)
        case _ if order.status is Status.NEW:
            raise OrderNotCreated
        case Place() | Cancel() | Ship():
            return _move_on(command, order)
        case _ if order.status is not Status.OPEN:
            raise OrderNotOpen
        case AddLine():
            return [_add(command, order)]
        case RemoveLine() if command.sku not in order.lines:
            raise OrderLineUnknown
        case RemoveLine():
            return [OrderLineRemoved(sku=command.sku)]
        case _:
            assert_never(command)


def _create(command: Create, order: Order) -> Sequence[OrderEvent]:
    events: list[OrderEvent] = [
        OrderCreated(customer_id=command.customer_id, currency=command.currency, ordered_at=command.ordered_at)
    ]
    for line in command.lines:
        event = _add(line, order)
        order = evolve(order, event)
        events.append(event)
    return events


def _add(command: AddLine, order: Order) -> OrderLineAdded:
    known = order.lines.get(command.sku)
    if known is not None and known.unit_price != command.unit_price:
        raise OrderLinePriceDiffers
    event = OrderLineAdded(sku=command.sku, quantity=command.quantity, unit_price=command.unit_price)
    after = evolve(order, event)
    if (
        len(after.lines) > MOST_LINES
        or after.lines[command.sku].quantity > LARGEST_QUANTITY
        or after.total > LARGEST_AMOUNT
    ):
        raise OrderTooLarge
    return event


def _move_on(command: Place | Cancel | Ship, order: Order) -> Sequence[OrderEvent]:
    match command, order.status:
        case (Place(), Status.PLACED) | (Cancel(), Status.CANCELLED) | (Ship(), Status.SHIPPED):
            return []
        case Place(), Status.OPEN:
            if not order.lines:
                raise OrderEmpty
            return [OrderPlaced(total=order.total)]
        case Place(), _:
            raise OrderNotOpen
        case Cancel(), Status.SHIPPED:
            raise OrderShippedAlready
        case Cancel(reason=reason), _:
            return [OrderCancelled(reason=reason)]
        case Ship(), Status.PLACED:
            return [OrderShipped()]
        case _:
            raise OrderNotPlaced


# Evolve


def evolve(order: Order, event: OrderEvent) -> Order:
    """The order after one event."""
    match event:
        case OrderCreated():
            return replace(order, status=Status.OPEN)
        case OrderLineAdded():
            known = order.lines.get(event.sku)
            quantity = event.quantity + (known.quantity if known else 0)
            return replace(order, lines={**order.lines, event.sku: Line(quantity, event.unit_price)})
        case OrderLineRemoved():
            return replace(order, lines={sku: line for sku, line in order.lines.items() if sku != event.sku})
        case OrderPlaced():
            return replace(order, status=Status.PLACED)
        case OrderCancelled():
            return replace(order, status=Status.CANCELLED)
        case OrderShipped():
            return replace(order, status=Status.SHIPPED)
        case _:
            assert_never(event)


# Binding

ORDER: Decider[OrderCommand, OrderEvent, Order] = Decider(
    category="order",
    collection="orders",
    initial=Order(),
    decide=decide,
    evolve=evolve,
    command_types={
        "create": Create,
        "add-line": AddLine,
        "remove-line": RemoveLine,
        "place": Place,
        "cancel": Cancel,
        "ship": Ship,
    },
    event_types={
        "OrderCreated": OrderCreated,
        "OrderLineAdded": OrderLineAdded,
        "OrderLineRemoved": OrderLineRemoved,
        "OrderPlaced": OrderPlaced,
        "OrderCancelled": OrderCancelled,
        "OrderShipped": OrderShipped,
    },
    lives_long=False,
)
