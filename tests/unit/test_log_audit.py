"""The audit of a log finds what is wrong with it, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from actors.audit.finding import Finding
from actors.audit.log_audit import audit_log
from actors.domain.order import ORDER
from actors.runtime.wire import encode
from actors.store.event_store import RecordedEvent
from actors.store.memory import MemoryEventStore, MemoryLogScan
from tests.account import ACCOUNT
from tests.in_process import command, running_silos

Log = list[RecordedEvent]


@pytest.fixture
async def log() -> Log:
    """Ada's account (open, 10 in, 4 out, 1 in) and Bob's (opened with 5, by one command), in one partition."""
    store = MemoryEventStore(partitions=1)
    async with running_silos(store, [ACCOUNT]) as (silo,):
        await silo.execute(
            encode(
                [
                    command("open", '{"owner": "Ada"}'),
                    command("deposit", '{"amount": 10}'),
                    command("withdraw", '{"amount": 4}'),
                    command("deposit", '{"amount": 1}'),
                    command("found", '{"owner": "Bob", "amount": 5}', key="bob"),
                ]
            )
        )
    return [event._replace(epoch=1) for event in await store.read_partitions({0: 0}, limit=100)]


async def audit(log: Log, *, epoch: int = 1, decisions: bool = True) -> list[Finding]:
    done = await audit_log(MemoryLogScan(log, {0: epoch}), [ACCOUNT], decisions=decisions)
    return list(done.findings)


async def test_healthy_log_has_no_findings(log: Log) -> None:
    done = await audit_log(MemoryLogScan(log, {0: 1}), [ACCOUNT])

    assert (done.partitions, done.events, done.streams, done.commands) == (1, 6, 2, 5)
    assert done.findings == []


def changed(place: int, **fields: object) -> Callable[[Log], Log]:
    """One event is not what it was."""
    return lambda log: [*log[:place], log[place]._replace(**fields), *log[place + 1 :]]  # type: ignore[arg-type]


def deposited_twice(log: Log) -> Log:
    return [*log, log[3]._replace(position=7, version=5)]


@pytest.mark.parametrize(
    ("break_it", "promise", "version", "what"),
    [
        pytest.param(lambda log: log[:2] + log[3:], "gapless", 4, "behind position 2", id="a lost event"),
        pytest.param(changed(3, version=5), "gapless", 5, "behind version 3", id="a version left out"),
        pytest.param(changed(3, position=9), "gapless", 4, "behind position 6", id="a position left out"),
        pytest.param(changed(3, stream="account-eve", version=1), "legal", 1, "refused", id="another stream"),
        pytest.param(changed(2, epoch=0), "fenced", 3, "behind one of epoch 1", id="an epoch that goes back"),
        pytest.param(changed(5, epoch=2), "fenced", 2, "never given out", id="an epoch that nobody had"),
        pytest.param(
            changed(2, metadata='{"silo": "silo/0#other"}'), "fenced", 3, "but epoch 1 is of silo/0#", id="two writers"
        ),
        pytest.param(changed(2, metadata="{}"), "fenced", 3, "does not say who", id="no writer"),
        pytest.param(deposited_twice, "once", 5, "also written at version 4", id="a command done twice"),
        pytest.param(changed(4, ordinal=1), "once", 1, "first events of its command are missing", id="half a command"),
        pytest.param(changed(5, command_id=uuid4()), "once", 2, "are missing", id="a command cut in two"),
        pytest.param(changed(1, command=None), "once", 2, "its command is missing", id="no command"),
        pytest.param(changed(5, command="{}"), "once", 2, "there once more", id="the command twice"),
        pytest.param(
            changed(1, data='{"amount":11}'), "legal", 2, "leads to other events", id="not what the command says"
        ),
        pytest.param(
            changed(2, command='{"withdraw":{"amount":11}}', data='{"amount":11}'),
            *("legal", 3, "refused in the state before it: the account has less than that"),
            id="a decision from a stale state",
        ),
        pytest.param(changed(1, command='{"audit":{}}'), "legal", 2, "raises ZeroDivisionError", id="a bug"),
        pytest.param(changed(1, command='{"close":{}}'), "legal", 2, "cannot read the command", id="unknown command"),
        pytest.param(changed(1, type="Frozen"), "legal", 2, "does not know the type", id="unknown event"),
    ],
)
async def test_broken_promise_is_found_where_it_was_broken(
    log: Log, break_it: Callable[[Log], Log], promise: str, version: int, what: str
) -> None:
    findings = await audit(break_it(log))

    assert [found for found in findings if (found.promise, found.version) == (promise, version) and what in found.what]


async def test_stream_in_a_partition_that_is_not_its_own_is_found(log: Log) -> None:
    done = await audit_log(MemoryLogScan(log, {0: 1, 1: 1}), [ACCOUNT])

    assert "ordered" in {found.promise for found in done.findings}


async def test_event_in_front_of_an_older_one_of_its_stream_is_found(log: Log) -> None:
    log[1], log[3] = log[1]._replace(position=4), log[3]._replace(position=2)

    assert ("ordered", 3) in {(found.promise, found.version) for found in await audit(log)}


async def test_actor_of_an_unknown_kind_is_found(log: Log) -> None:
    done = await audit_log(MemoryLogScan(log, {0: 1}), [])

    assert {found.promise for found in done.findings} == {"legal"}


async def test_decisions_need_not_be_taken_again(log: Log) -> None:
    broken = changed(1, data='{"amount":11}')(log)

    assert await audit(broken, decisions=False) == []
    assert [found.promise for found in await audit(changed(3, version=5)(log), decisions=False)] == ["gapless"]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_command_that_an_earlier_release_took_is_no_finding(day: str) -> None:
    store = MemoryEventStore(partitions=1)
    created = '{"customer_id": "alice", "currency": "USD", "ordered_at": "1997-01-31T12:00:00Z"}'
    async with running_silos(store, [ORDER]) as (silo,):
        await silo.execute(encode([command("create", created, category="order")]))
    (event,) = await store.read_partitions({0: 0}, limit=100)
    data, taken = event.data.replace("1997-01-31", day), (event.command or "").replace("1997-01-31", day)
    assert day in data
    assert day in taken
    old = event._replace(epoch=1, data=data, command=taken)

    done = await audit_log(MemoryLogScan([old], {0: 1}), [ORDER])

    assert (done.commands, done.findings) == (1, [])


async def test_one_finding_does_not_hide_those_of_other_streams(log: Log) -> None:
    broken = changed(1, data='{"amount":11}')(changed(5, data='{"amount":6}')(log))

    assert [found.stream for found in await audit(broken)] == ["account-ada", "account-bob"]
