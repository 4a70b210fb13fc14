"""Where the processor time goes while something is measured: by part of the service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from actors.store.postmaster import processes_of
from gateway.serve import Running

_ACTORS = {"ray::Silo": "silos", "ray::Gateway": "gateways", "ray::Projection": "projections"}


class CpuTime:
    """Counts the processor time of all parts of a service that runs under this process.

    Attributes:
        seconds: by part, once the block of `counted` has ended.
    """

    def __init__(self, service: Running) -> None:
        self._cluster = service.data / "postgres" / "cluster"
        self.seconds: Mapping[str, float] = {}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what is spent in the block."""
        before = self._now()
        yield
        after = self._now()
        self.seconds = {part: after[part] - before.get(part, 0.0) for part in sorted(after)}

    def each_us(self, pieces: int) -> Mapping[str, float]:
        """Microseconds for each of so many pieces of work, by part."""
        return {f"{part} µs": round(seconds / pieces * 1e6, 1) for part, seconds in self.seconds.items()}

    def _now(self) -> dict[str, float]:
        spent: dict[str, float] = defaultdict(float)
        this = psutil.Process()
        spent["callers"] = _seconds(this)
        for process in this.children(recursive=True):
            spent[_part(process)] += _seconds(process)
        for process in processes_of(self._cluster):
            spent["PostgreSQL"] += _seconds(process)
        return spent


def _part(process: psutil.Process) -> str:
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        title = ""
    return next((part for start, part in _ACTORS.items() if title.startswith(start)), "Ray")


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
