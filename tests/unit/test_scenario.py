from __future__ import annotations

from dataclasses import replace

import pytest

from actors.domain.scenario import Scenario
from tests.account import ACCOUNT, Deposit, Deposited, InsufficientFunds, NotOpen, Open, Opened, Weigh, Withdraw

account = Scenario(ACCOUNT)


def test_withdraw_beyond_balance_is_rejected() -> None:
    account.given(Opened(owner="ada"), Deposited(amount=50)).when(Withdraw(amount=80)).rejected(InsufficientFunds)


def test_steps_can_be_told_as_one_story() -> None:
    account.when(Open(owner="ada")).then(Opened(owner="ada")).when(Open(owner="bob")).then()


def test_scenario_fails_when_other_events_follow() -> None:
    with pytest.raises(AssertionError, match="expected"):
        account.given(Opened(owner="ada")).when(Deposit(amount=1)).then(Deposited(amount=2))


def test_scenario_fails_when_a_command_is_rejected_that_should_not_be() -> None:
    with pytest.raises(AssertionError, match="NotOpen"):
        account.when(Deposit(amount=1)).then(Deposited(amount=1))


def test_scenario_fails_when_a_command_is_accepted_or_another_rule_forbids_it() -> None:
    with pytest.raises(AssertionError, match="expected NotOpen"):
        account.when(Open(owner="ada")).rejected(NotOpen)
    with pytest.raises(AssertionError, match="expected InsufficientFunds"):
        account.when(Withdraw(amount=1)).rejected(InsufficientFunds)


def test_scenario_fails_when_an_event_does_not_survive_the_log() -> None:
    with pytest.raises(AssertionError, match="does not survive"):
        account.given(Opened(owner="ada")).when(Weigh(weight=float("nan"))).then()


def test_failure_shows_what_was_expected_and_what_came() -> None:
    with pytest.raises(AssertionError) as failure:
        account.given(Opened(owner="ada")).when(Deposit(amount=1)).then(Deposited(amount=2))
    assert str(failure.value) == "expected [Deposited(amount=2)], came [Deposited(amount=1)]"


def test_scenario_is_not_changed_by_what_follows_it() -> None:
    opened = account.given(Opened(owner="ada"))
    opened.when(Deposit(amount=5)).then(Deposited(amount=5))
    opened.when(Withdraw(amount=5)).rejected(InsufficientFunds)


def test_scenario_fails_when_the_decider_does_not_know_the_command() -> None:
    others = {name: command for name, command in ACCOUNT.command_types.items() if command is not Deposit}
    with pytest.raises(AssertionError, match="is not a command of 'account'"):
        Scenario(replace(ACCOUNT, command_types=others)).when(Deposit(amount=1))


def test_scenario_fails_when_the_decider_does_not_know_an_event() -> None:
    others = {name: event for name, event in ACCOUNT.event_types.items() if event is not Opened}
    with pytest.raises(AssertionError, match="is not an event of 'account'"):
        Scenario(replace(ACCOUNT, event_types=others, upcasts={})).when(Open(owner="ada"))
