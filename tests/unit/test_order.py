from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.decider import Rejection
from actors.domain.order import (
    LARGEST_QUANTITY,
    MOST_LINES,
    ORDER,
    AddLine,
    Cancel,
    Create,
    Order,
    OrderAlreadyCreated,
    OrderCancelled,
    OrderCommand,
    OrderCreated,
    OrderEmpty,
    OrderEvent,
    OrderLineAdded,
    OrderLinePriceDiffers,
    OrderLineRemoved,
    OrderLineUnknown,
    OrderNotCreated,
    OrderNotOpen,
    OrderNotPlaced,
    OrderPlaced,
    OrderShipped,
    OrderShippedAlready,
    OrderTooLarge,
    Place,
    RemoveLine,
    Ship,
)
from actors.domain.scenario import Scenario
from actors.domain.values import LARGEST_AMOUNT

order = Scenario(ORDER)
CREATED = OrderCreated(customer_id="alice", currency="USD", ordered_at=None)
LINE = OrderLineAdded(sku="cd", quantity=2, unit_price=100)
PLACED = OrderPlaced(total=200)
CANCELLED = OrderCancelled(reason="no")

open_order = order.given(CREATED, LINE)
placed = open_order.given(PLACED)
shipped = placed.given(OrderShipped())
cancelled = open_order.given(CANCELLED)


def test_order_is_created_with_its_lines() -> None:
    moment = datetime(1997, 1, 1, tzinfo=UTC)
    lines = (AddLine(sku="cd", quantity=2, unit_price=100), AddLine(sku="lp", quantity=1, unit_price=5))
    command = Create(customer_id="alice", currency="USD", lines=lines, ordered_at=moment)
    order.when(command).then(
        OrderCreated(customer_id="alice", currency="USD", ordered_at=moment),
        LINE,
        OrderLineAdded(sku="lp", quantity=1, unit_price=5),
    ).when(Place()).then(OrderPlaced(total=205))


def test_order_is_not_created_at_all_when_one_of_its_lines_cannot_be() -> None:
    lines = (AddLine(sku="cd", quantity=2, unit_price=100), AddLine(sku="cd", quantity=1, unit_price=5))
    order.when(Create(customer_id="alice", currency="USD", lines=lines)).rejected(OrderLinePriceDiffers)


def test_more_of_the_same_at_the_same_price_adds_up() -> None:
    open_order.when(AddLine(sku="cd", quantity=1, unit_price=100)).then(
        OrderLineAdded(sku="cd", quantity=1, unit_price=100)
    ).when(Place()).then(OrderPlaced(total=300))


def test_the_same_at_another_price_is_rejected() -> None:
    open_order.when(AddLine(sku="cd", quantity=1, unit_price=99)).rejected(OrderLinePriceDiffers)


def test_line_is_removed_once() -> None:
    removed = open_order.when(RemoveLine(sku="cd")).then(OrderLineRemoved(sku="cd"))
    removed.when(RemoveLine(sku="cd")).rejected(OrderLineUnknown)
    removed.when(Place()).rejected(OrderEmpty)


def test_more_of_the_same_within_one_creation_adds_up() -> None:
    lines = (AddLine(sku="cd", quantity=2, unit_price=100), AddLine(sku="cd", quantity=1, unit_price=100))
    order.when(Create(customer_id="alice", currency="USD", lines=lines)).then(
        CREATED, LINE, OrderLineAdded(sku="cd", quantity=1, unit_price=100)
    ).when(Place()).then(OrderPlaced(total=300))


def test_total_stays_an_amount() -> None:
    dear = AddLine(sku="gold", quantity=1, unit_price=LARGEST_AMOUNT)
    open_order.when(dear).rejected(OrderTooLarge)
    order.given(CREATED).when(dear).then(OrderLineAdded(sku="gold", quantity=1, unit_price=LARGEST_AMOUNT))


def test_quantity_is_bounded_by_the_total() -> None:
    order.given(CREATED).when(AddLine(sku="pin", quantity=1_000_001, unit_price=1)).then(
        OrderLineAdded(sku="pin", quantity=1_000_001, unit_price=1)
    )
    order.given(CREATED).when(AddLine(sku="pin", quantity=10**300, unit_price=1)).rejected(OrderTooLarge)


def test_quantity_of_what_costs_nothing_stays_a_number_of_json() -> None:
    gift = AddLine(sku="gift", quantity=LARGEST_QUANTITY, unit_price=0)
    full = order.given(CREATED).when(gift).then(OrderLineAdded(sku="gift", quantity=LARGEST_QUANTITY, unit_price=0))
    full.when(AddLine(sku="gift", quantity=1, unit_price=0)).rejected(OrderTooLarge)
    order.given(CREATED).when(AddLine(sku="gift", quantity=LARGEST_QUANTITY + 1, unit_price=0)).rejected(OrderTooLarge)
    assert LARGEST_QUANTITY < 2**53


def test_number_of_lines_is_bounded() -> None:
    full = order.given(CREATED, *(OrderLineAdded(sku=f"s{n}", quantity=1, unit_price=1) for n in range(MOST_LINES)))
    full.when(AddLine(sku="one more", quantity=1, unit_price=1)).rejected(OrderTooLarge)
    full.when(AddLine(sku="s0", quantity=1, unit_price=1)).then(OrderLineAdded(sku="s0", quantity=1, unit_price=1))


ADD, REMOVE, PLACE = AddLine(sku="cd", quantity=1, unit_price=100), RemoveLine(sku="cd"), Place()
CANCEL, SHIP, CREATE = Cancel(reason="no"), Ship(), Create(customer_id="alice", currency="USD")


@pytest.mark.parametrize(
    ("before", "command", "outcome"),
    [
        (order, ADD, OrderNotCreated),
        (order, REMOVE, OrderNotCreated),
        (order, PLACE, OrderNotCreated),
        (order, CANCEL, OrderNotCreated),
        (order, SHIP, OrderNotCreated),
        (order, CREATE, CREATED),
        (open_order, CREATE, OrderAlreadyCreated),
        (open_order, ADD, OrderLineAdded(sku="cd", quantity=1, unit_price=100)),
        (open_order, REMOVE, OrderLineRemoved(sku="cd")),
        (open_order, PLACE, PLACED),
        (open_order, CANCEL, CANCELLED),
        (open_order, SHIP, OrderNotPlaced),
        (placed, CREATE, OrderAlreadyCreated),
        (placed, ADD, OrderNotOpen),
        (placed, REMOVE, OrderNotOpen),
        (placed, PLACE, None),
        (placed, CANCEL, CANCELLED),
        (placed, SHIP, OrderShipped()),
        (shipped, CREATE, OrderAlreadyCreated),
        (shipped, ADD, OrderNotOpen),
        (shipped, REMOVE, OrderNotOpen),
        (shipped, PLACE, OrderNotOpen),
        (shipped, CANCEL, OrderShippedAlready),
        (shipped, SHIP, None),
        (cancelled, CREATE, OrderAlreadyCreated),
        (cancelled, ADD, OrderNotOpen),
        (cancelled, REMOVE, OrderNotOpen),
        (cancelled, PLACE, OrderNotOpen),
        (cancelled, CANCEL, None),
        (cancelled, SHIP, OrderNotPlaced),
    ],
)
def test_every_command_in_every_status(
    before: Scenario[OrderCommand, OrderEvent], command: OrderCommand, outcome: type[Rejection] | OrderEvent | None
) -> None:
    decided = before.when(command)
    if isinstance(outcome, type):
        decided.rejected(outcome)
    else:
        decided.then(*([] if outcome is None else [outcome]))


def test_rejections_have_the_codes_of_the_contract() -> None:
    codes = {
        OrderAlreadyCreated: "order-already-created",
        OrderNotCreated: "order-not-created",
        OrderNotOpen: "order-not-open",
        OrderLineUnknown: "order-line-unknown",
        OrderLinePriceDiffers: "order-line-price-differs",
        OrderEmpty: "order-empty",
        OrderShippedAlready: "order-shipped",
        OrderNotPlaced: "order-not-placed",
        OrderTooLarge: "order-too-large",
    }
    assert {rule: rule.code for rule in codes} == codes
    assert [rule for rule in codes if rule.absent] == [OrderNotCreated]


_skus = st.sampled_from(["a", "b", "c"])
_adds = st.builds(AddLine, sku=_skus, quantity=st.integers(1, 9), unit_price=st.integers(0, 9))
_commands = st.one_of(_adds, st.builds(RemoveLine, sku=_skus), st.just(PLACE), st.just(CANCEL), st.just(SHIP))


@given(st.lists(_commands, max_size=30))
def test_total_is_the_sum_of_the_lines_whatever_was_done(commands: list[OrderCommand]) -> None:
    state = ORDER.fold([CREATED])
    sums: dict[str, int] = {}
    for command in commands:
        try:
            events = ORDER.decide(command, state)
        except Rejection:
            continue
        for event in events:
            match event:
                case OrderLineAdded():
                    sums[event.sku] = sums.get(event.sku, 0) + event.quantity * event.unit_price
                case OrderLineRemoved():
                    del sums[event.sku]
                case OrderPlaced():
                    assert event.total == sum(sums.values())
                case _:
                    pass
            state = ORDER.evolve(state, event)
    assert state.total == sum(sums.values())


_events = st.one_of(
    st.just(CREATED),
    st.builds(OrderLineAdded, sku=_skus, quantity=st.integers(1, 9), unit_price=st.integers(0, 9)),
    st.builds(OrderLineRemoved, sku=_skus),
    st.sampled_from([PLACED, CANCELLED, OrderShipped()]),
)


@given(st.lists(_events, max_size=30))
def test_evolve_takes_any_history(events: list[OrderEvent]) -> None:
    assert isinstance(ORDER.fold(events), Order)


@given(st.lists(_events, max_size=30), st.sampled_from([PLACE, CANCEL, SHIP]))
def test_repeating_a_step_appends_nothing(history: list[OrderEvent], command: OrderCommand) -> None:
    state = ORDER.fold(history)
    try:
        events = ORDER.decide(command, state)
    except Rejection:
        return
    assert ORDER.decide(command, ORDER.fold([*history, *events])) == []
