"""What a gateway counts, in the form of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The counters of one gateway; what it is called stands in each of them."""

    def __init__(self, gateway: str = "gateway/0") -> None:
        self._registry = CollectorRegistry()
        self._gateway = gateway
        requests = Counter(
            "rayleans_http_requests",
            "Requests that have ended.",
            ["gateway", "method", "route", "status"],
            registry=self._registry,
        )
        seconds = Histogram(
            "rayleans_http_request_seconds",
            "From the head of a request to the end of its answer.",
            ["gateway", "route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        commands = Counter(
            "rayleans_commands",
            "Commands by what came of them: done, replayed, or the code of the problem.",
            ["gateway", "actor", "command", "outcome"],
            registry=self._registry,
        )
        self._waiting = Gauge(
            "rayleans_http_waiting",
            "Requests that wait for the beginning of their answer; who asks for this is one of them.",
            ["gateway"],
            registry=self._registry,
        ).labels(gateway)
        # Labels are looked up once for each combination; there are as many as there are routes and statuses.
        self._requests: Callable[[str, str, int], Any] = cache(
            lambda method, route, status: requests.labels(gateway, method, route, status)
        )
        self._seconds: Callable[[str], Any] = cache(lambda route: seconds.labels(gateway, route))
        self._commands: Callable[[str, str, str], Any] = cache(
            lambda actor, command, outcome: commands.labels(gateway, actor, command, outcome)
        )

    def request(self, method: str, route: str | None, status: int, took_s: float) -> None:
        """One request has ended; `route` is None when there is none at its address."""
        self._requests(method if route else "", route or "", status).inc()
        self._seconds(route or "").observe(took_s)

    def command(self, actor: str, command: str, outcome: str) -> None:
        """One command has ended."""
        self._commands(actor, command, outcome).inc()

    def watch(self, waiting: Callable[[], int]) -> None:
        """Ask this, whenever somebody asks here, how many requests wait."""
        self._waiting.set_function(waiting)

    def exposition(self) -> str:
        """All of it as text."""
        return generate_latest(self._registry).decode()


def merge(expositions: Iterable[str]) -> str:
    """Several texts as one: Prometheus wants all samples of a family in one place."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for text in expositions:
        samples: list[str] = []
        for line in text.splitlines():
            if line.startswith("# HELP "):
                head, samples = families.setdefault(line.split(" ", 3)[2], ([], []))
                head[:] = [line]
            elif line.startswith("# TYPE "):
                head.append(line)
            else:
                samples.append(line)
    return "".join(f"{line}\n" for head, samples in families.values() for line in (*head, *samples))
