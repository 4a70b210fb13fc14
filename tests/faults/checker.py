"""Holds what clients saw against what is in the log: the audit of the log, and the promises to clients.

    I1  nothing acknowledged is lost          I6  what is acknowledged before a command begins is in its state
    I2  nothing is done twice                 I7  refusals were right in a state that there was meanwhile
    I3  what was refused wrote nothing        I8  what the domain preserves is preserved
    I15 service comes back in time            I16 the faults met enough commands to mean something

Every reply names its version, so that no search is needed: it takes n log n steps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any
from uuid import UUID

import msgspec

from actors.audit.log_audit import audit_log
from actors.domain.decider import AnyDecider, Rejection
from actors.errors import Rejected, WrongExpectedVersion
from actors.runtime.activation import Activation
from actors.runtime.turn import read_command, text_of
from actors.runtime.wire import Done
from actors.store.event_store import RecordedEvent
from actors.store.log_scan import LogScan, Order
from tests.faults.history import FAILED, Fault, History, Operation

Law = Callable[[Any], bool]


async def check(
    history: History, scan: LogScan, deciders: Sequence[AnyDecider], *, law: Law = lambda _: True
) -> list[str]:
    """Everything that is wrong with a run, one sentence each.

    Args:
        law: what the domain preserves, of any state of an actor.
    """
    audit = await audit_log(scan, deciders)
    log = [event async for event in scan.events(Order.STREAM)]
    return [str(finding) for finding in audit.findings] + list(_Check(history, log, deciders, law).findings())


def check_recovery(history: History, fault: Fault, *, within_s: float, overlapping: int) -> list[str]:
    """I15 and I16 of one fault."""
    problems = []
    if history.recovery_s(fault) > within_s:
        problems.append(f"I15: {fault.name}: service was back after {history.recovery_s(fault):.1f} s")
    if history.overlapping(fault) < overlapping:
        problems.append(f"I16: {fault.name}: met {history.overlapping(fault)} operations only")
    return problems


class _Stream:
    """One stream with everything that is known of its past.

    Attributes:
        states: by version, from 0.
        possible_from: by version, the earliest moment at which the stream can have been there.
        known_until: moments at which a version was acknowledged, rising, and beside it the highest one until then.
    """

    def __init__(self, decider: AnyDecider, events: Sequence[RecordedEvent], operations: Sequence[Operation]) -> None:
        self.decider = decider
        self.states = [decider.initial]
        began: dict[UUID, float] = {}
        for operation in operations:
            began.setdefault(operation.envelope.command_id, operation.began)
        if events:
            actor: Activation[Any] = Activation(decider, events[0].stream, events[0].partition)
            for event in events:
                actor.load([event])
                self.states.append(actor.state)
        moments = [began.get(event.command_id, 0.0) for event in events]
        self.possible_from = list(accumulate([0.0, *moments], max))
        acknowledged = sorted((each.ended, each.done.version) for each in operations if each.done is not None)
        self._moments = [moment for moment, _ in acknowledged]
        self._highest = list(accumulate((version for _, version in acknowledged), max))

    def window(self, operation: Operation) -> range:
        """Versions in which the operation can have been decided."""
        known = bisect_left(self._moments, operation.began)
        lowest = self._highest[known - 1] if known else 0
        highest = bisect_right(self.possible_from, operation.ended) - 1
        return range(min(lowest, len(self.states) - 1), highest + 1)

    def refuses(self, operation: Operation, version: int) -> bool:
        """Whether the rules refuse the command of `operation` at a version, as they did."""
        refusal = operation.outcome
        try:
            self.decider.decide(_command(self.decider, operation), self.states[version])
        except Rejection as no:
            return isinstance(refusal, Rejected) and refusal.code == no.code
        return False

    def has_nothing_to_do(self, operation: Operation, version: int) -> bool:
        """Whether the command of `operation` was already true at a version."""
        return not self.decider.decide(_command(self.decider, operation), self.states[version])


class _Check:
    """One history against one log."""

    def __init__(
        self, history: History, log: Sequence[RecordedEvent], deciders: Sequence[AnyDecider], law: Law
    ) -> None:
        self._operations = history.operations
        self._law = law
        by_category = {decider.category: decider for decider in deciders}
        self._written: dict[UUID, list[RecordedEvent]] = defaultdict(list)
        events: dict[str, list[RecordedEvent]] = defaultdict(list)
        for event in log:
            self._written[event.command_id].append(event)
            events[event.stream].append(event)
        operations: dict[str, list[Operation]] = defaultdict(list)
        self._attempts: dict[UUID, list[Operation]] = defaultdict(list)
        for operation in history.operations:
            operations[operation.stream].append(operation)
            self._attempts[operation.envelope.command_id].append(operation)
        self._streams = {
            stream: _Stream(by_category[stream.partition("-")[0]], events[stream], operations[stream])
            for stream in {*events, *operations}
            if stream.partition("-")[0] in by_category
        }

    def findings(self) -> Iterator[str]:
        for operation in self._operations:
            for problem in self._check_operation(operation):
                yield f"{problem}: {operation}"
        for command_id, attempts in self._attempts.items():
            for problem in self._check_attempts(command_id, attempts):
                yield f"{problem}: {command_id}"
        used = {operation.stream for operation in self._operations}
        for command_id in self._written.keys() - self._attempts.keys():
            if self._written[command_id][0].stream in used:
                yield f"I3: nobody sent the command {command_id} that is in the log"
        for stream, past in self._streams.items():
            if not all(map(self._law, past.states)):
                yield f"I8: {stream} broke a law of its domain"

    def _check_operation(self, operation: Operation) -> Iterator[str]:
        if operation.outcome is None:
            yield "I15: no answer came at all"
        elif operation.done is not None and operation.done.events:
            yield from self._check_written(operation, operation.done)
        elif operation.done is not None:
            yield from self._check_already_true(operation, operation.done)
        elif operation.refused:
            yield from self._check_refusal(operation)

    def _check_written(self, operation: Operation, done: Done) -> Iterator[str]:
        written = self._written.get(operation.envelope.command_id, [])
        in_log = [(event.type, event.version, msgspec.json.decode(event.data)) for event in written]
        told = [(event.type, event.version, msgspec.json.decode(event.data)) for event in done.events]
        if in_log != told or written[0].stream != operation.stream:
            yield "I1: what was acknowledged is not in the log"
            return
        past = self._streams[operation.stream]
        if written[0].command != text_of(operation.envelope.command, _command(past.decider, operation)):
            yield "I1: another command is in the log"
        told_place, place = (done.partition, done.position, done.epoch), written[-1]
        if told_place != (place.partition, place.position, place.epoch):
            yield "I1: it stands somewhere else than was acknowledged"
        if operation.envelope.expected_version not in {None, written[0].version - 1}:
            yield "I7: it was done at another version than it expected"
        if not done.replayed and done.events[0].version <= past.window(operation).start:
            yield "I6: it was done before something that was acknowledged before it began"

    def _check_already_true(self, operation: Operation, done: Done) -> Iterator[str]:
        past = self._streams[operation.stream]
        if done.version not in past.window(operation):
            yield f"I6: its version is none of {past.window(operation)}"
        elif not past.has_nothing_to_do(operation, done.version):
            yield "I7: something was to be done at that version"

    def _check_refusal(self, operation: Operation) -> Iterator[str]:
        past = self._streams[operation.stream]
        window = past.window(operation)
        if isinstance(operation.outcome, WrongExpectedVersion):
            if operation.outcome.actual == operation.envelope.expected_version:
                yield "I7: the actual version is the expected one"
            if operation.outcome.actual not in window:
                yield f"I7: the actual version is none of {window}"
        elif not any(past.refuses(operation, version) for version in window):
            yield f"I7: it was refused, but not by the rules, in any of {window}"

    def _check_attempts(self, command_id: UUID, attempts: Sequence[Operation]) -> Iterator[str]:
        """Several deliveries of one command, or of different commands under one id."""
        wrote = [each.done for each in attempts if each.done is not None and each.done.events]
        if len({done.events for done in wrote}) > 1:
            yield "I2: retries were answered differently"
        if sum(not done.replayed for done in wrote) > 1:
            yield "I2: it was done twice"
        if command_id in self._written and all(each.refused or isinstance(each.outcome, FAILED) for each in attempts):
            yield "I3: it was refused and is in the log"
        acknowledged = {each.command: each.ended for each in attempts if each.done is not None and each.done.events}
        if any(each.refused and each.began > acknowledged.get(each.command, each.began) for each in attempts):
            yield "I2: it was done, and a retry was refused"


def _command(decider: AnyDecider, operation: Operation) -> Any:
    return read_command(decider, f'{{"{operation.envelope.command}":{operation.envelope.data}}}')
