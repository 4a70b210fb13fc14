"""Does the log prove itself? All checks, over the whole log, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actors.audit.checks import Check, CommandCheck, PartitionCheck, StreamCheck
from actors.audit.finding import Finding
from actors.domain.decider import AnyDecider
from actors.store.log_scan import LogScan

MOST_FINDINGS = 100
SAY_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class LogAudit:
    """What an audit came to.

    Attributes:
        findings: what is wrong, at most `MOST_FINDINGS` of it; empty when everything is as promised.
    """

    partitions: int
    events: int
    streams: int
    commands: int
    findings: Sequence[Finding]


async def audit_log(
    scan: LogScan,
    deciders: Sequence[AnyDecider],
    *,
    decisions: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> LogAudit:
    """Hold the log to its promises; reads it once for each check.

    Args:
        decisions: whether every decision is taken again, by the rules of `deciders`.
        progress: told how many more events have been looked at.

    Raises:
        StoreUnavailable: the log cannot be read.
    """
    streams = StreamCheck({decider.category: decider for decider in deciders}, decisions=decisions)
    findings: list[Finding] = []
    for check in (PartitionCheck(scan.epochs), CommandCheck(), streams):
        findings += await _run(check, scan, progress)
    return LogAudit(scan.partitions, scan.length, streams.streams, streams.commands, findings[:MOST_FINDINGS])


async def _run(check: Check, scan: LogScan, progress: Callable[[int], None]) -> list[Finding]:
    findings: list[Finding] = []
    looked_at = 0
    async for event in scan.events(check.order):
        findings += check.look(event)
        looked_at += 1
        if looked_at % SAY_EVERY == 0:
            progress(SAY_EVERY)
        if len(findings) >= MOST_FINDINGS:
            return findings
    progress(looked_at % SAY_EVERY)
    return [*findings, *check.close()]
