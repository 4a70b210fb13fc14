from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.customer import (
    CUSTOMER,
    ChangeCreditLimit,
    ChangeEmail,
    Customer,
    CustomerAlreadyRegistered,
    CustomerCommand,
    CustomerCreditLimitChanged,
    CustomerDeactivated,
    CustomerEmailChanged,
    CustomerEvent,
    CustomerInactive,
    CustomerNotRegistered,
    CustomerReactivated,
    CustomerRegistered,
    CustomerRenamed,
    Deactivate,
    Reactivate,
    Register,
    Rename,
)
from actors.domain.decider import Rejection
from actors.domain.scenario import Scenario

customer = Scenario(CUSTOMER)
REGISTERED = CustomerRegistered(name="Alice", email="alice@example.com", credit_limit=100)
RESTING = CustomerDeactivated(reason="left")


def test_unknown_customer_can_be_registered() -> None:
    command = Register(name="Alice", email="alice@example.com", credit_limit=100)
    customer.when(command).then(REGISTERED)


def test_registered_customer_cannot_be_registered_again() -> None:
    command = Register(name="Alice", email="alice@example.com", credit_limit=100)
    customer.given(REGISTERED).when(command).rejected(CustomerAlreadyRegistered)
    customer.given(REGISTERED, RESTING).when(command).rejected(CustomerAlreadyRegistered)


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (Rename(name="Bob"), CustomerRenamed(name="Bob")),
        (ChangeEmail(email="bob@example.com"), CustomerEmailChanged(email="bob@example.com")),
        (ChangeCreditLimit(credit_limit=None), CustomerCreditLimitChanged(credit_limit=None)),
        (ChangeCreditLimit(credit_limit=0), CustomerCreditLimitChanged(credit_limit=0)),
    ],
)
def test_active_customer_changes_once(command: CustomerCommand, event: CustomerEvent) -> None:
    customer.given(REGISTERED).when(command).then(event).when(command).then()


def test_address_that_differs_in_case_only_is_the_same() -> None:
    customer.given(REGISTERED).when(ChangeEmail(email="Alice@example.com")).then()


def test_customer_goes_to_rest_and_wakes_once() -> None:
    resting = customer.given(REGISTERED).when(Deactivate(reason="left")).then(RESTING)
    resting.when(Deactivate(reason="again")).then()
    resting.when(Reactivate()).then(CustomerReactivated()).when(Reactivate()).then()


@pytest.mark.parametrize(
    "command", [Rename(name="Bob"), ChangeEmail(email="b@example.com"), ChangeCreditLimit(credit_limit=1)]
)
def test_resting_customer_does_not_change(command: CustomerCommand) -> None:
    customer.given(REGISTERED, RESTING).when(command).rejected(CustomerInactive)


@pytest.mark.parametrize(
    "command",
    [
        Rename(name="Bob"),
        ChangeEmail(email="b@example.com"),
        ChangeCreditLimit(credit_limit=1),
        Deactivate(reason="x"),
        Reactivate(),
    ],
)
def test_unknown_customer_does_not_change(command: CustomerCommand) -> None:
    customer.when(command).rejected(CustomerNotRegistered)


def test_rejections_have_the_codes_of_the_contract() -> None:
    rules: dict[type[Rejection], tuple[str, bool]] = {
        CustomerAlreadyRegistered: ("customer-already-registered", False),
        CustomerNotRegistered: ("customer-not-registered", True),
        CustomerInactive: ("customer-inactive", False),
    }
    assert {rule: (rule.code, rule.absent) for rule in rules} == rules


_names = st.sampled_from(["Alice", "Bob"])
_emails = st.sampled_from(["alice@example.com", "Alice@example.com", "bob@example.com"])
_limits = st.sampled_from([None, 0, 100])
_changes = st.one_of(
    st.builds(Rename, name=_names),
    st.builds(ChangeEmail, email=_emails),
    st.builds(ChangeCreditLimit, credit_limit=_limits),
    st.builds(Deactivate, reason=st.sampled_from(["left", "moved"])),
    st.just(Reactivate()),
)
_events = st.one_of(
    st.builds(CustomerRegistered, name=_names, email=_emails, credit_limit=_limits),
    st.builds(CustomerRenamed, name=_names),
    st.builds(CustomerEmailChanged, email=_emails),
    st.builds(CustomerCreditLimitChanged, credit_limit=_limits),
    st.just(RESTING),
    st.just(CustomerReactivated()),
)


@given(st.lists(_events, max_size=20), _changes)
def test_repeating_a_change_appends_nothing(history: list[CustomerEvent], command: CustomerCommand) -> None:
    state = CUSTOMER.fold(history)
    try:
        events = CUSTOMER.decide(command, state)
    except Rejection:
        return
    assert CUSTOMER.decide(command, CUSTOMER.fold([*history, *events])) == []


@given(st.lists(_events, max_size=20))
def test_evolve_takes_any_history(events: list[CustomerEvent]) -> None:
    assert isinstance(CUSTOMER.fold(events), Customer)
