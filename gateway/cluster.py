"""The processes of a service, as operators see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel


class SiloItem(BaseModel):
    """A silo.

    Attributes:
        partitions: that it owns.
        epochs: partition → ownership generation.
        activations: actors in memory.
        queued: commands without an answer.
        batches: size → how many batches of at most that size, and more than half of it, it has committed.
    """

    name: str
    node: str
    pid: int
    partitions: list[int]
    epochs: dict[int, int]
    activations: int
    queued: int
    started_at: datetime
    batches: dict[int, int]


class GatewayItem(BaseModel):
    """A gateway, and the port it listens on."""

    name: str
    node: str
    pid: int
    port: int


class Cluster(Protocol):
    """Asks the processes of a service; those that do not answer are left out."""

    async def silos(self) -> Sequence[SiloItem]:
        """In order of their numbers."""
        ...

    async def gateways(self) -> Sequence[GatewayItem]:
        """In order of their numbers."""
        ...

    async def other_expositions(self) -> Sequence[str]:
        """What the other gateways count, each as Prometheus text."""
        ...
