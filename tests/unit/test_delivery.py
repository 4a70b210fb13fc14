"""Commands inside a silo: each is answered once, and an actor rests only when all of its own are."""

from __future__ import annotations

from actors.process import Pulse
from actors.runtime.activation import Activation
from actors.runtime.delivery import Batch, Delivery, Entry
from actors.runtime.journal import Journal
from actors.runtime.turn import Turn
from actors.runtime.wire import Full, Later, NotNow
from tests.account import ACCOUNT
from tests.in_process import command

LATER = Later(7)


async def test_only_the_first_outcome_of_a_command_counts_and_each_is_told_once() -> None:
    batch = Batch([command("open"), command("open")])
    first, second = batch.deliveries

    first.answer(Full())
    first.answer(NotNow("too late"))
    assert not batch.complete.done()
    assert batch.tell(LATER) == [Full(), LATER]

    second.answer(NotNow("not now"))
    assert batch.complete.done()
    assert batch.tell(LATER) == [NotNow("not now")]
    assert batch.tell(LATER) == []


async def test_actor_does_not_rest_while_one_of_its_commands_waits_for_the_log() -> None:
    activation: Activation[Delivery] = Activation(ACCOUNT, "account-ada", 0)
    activation.mailbox = None
    journal = Journal(lambda: None, Pulse(), lambda _: None)
    entries = [Entry(each, activation, Turn(Full())) for each in Batch([command("open")] * 2).deliveries]
    for entry in entries:
        journal.add(entry)

    rested = [activation.rests]
    for entry in entries:
        entry.answer(Full())
        rested.append(activation.rests)

    assert rested == [False, False, True]
