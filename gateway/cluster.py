"""The processes of a service, as operators see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol, Self

from pydantic import BaseModel

from actors.runtime.home import Address
from actors.runtime.wire import SiloStatus
from actors.store.event_store import split_stream


class TakeoverItem(BaseModel):
    """When a silo got its partitions, and why it had to take them."""

    at: datetime
    why: str


class HomeItem(BaseModel):
    """The process in which one actor lives alone."""

    actor: str
    id: str
    node: str
    pid: int


class SiloItem(BaseModel):
    """A silo.

    Attributes:
        partitions: that it owns.
        epochs: partition → ownership generation.
        activations: actors in memory.
        queued: commands without an answer.
        takeover: the last one; null before the first.
        own_homes: of those of its actors that do not live in its process.
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
    takeover: TakeoverItem | None
    own_homes: list[HomeItem]
    batches: dict[int, int]

    @classmethod
    def of(cls, status: SiloStatus, pid: int, node: str) -> Self:
        """What a silo says of itself, and where it runs."""
        last = status.takeover
        return cls(
            name=status.name,
            node=node,
            pid=pid,
            partitions=sorted(status.epochs),
            epochs=status.epochs,
            activations=status.activations,
            queued=status.queued,
            started_at=datetime.fromtimestamp(status.started_at, UTC),
            takeover=last and TakeoverItem(at=datetime.fromtimestamp(last.at, UTC), why=last.why),
            own_homes=[_home(stream, address) for stream, address in sorted(status.own_homes.items())],
            batches=status.batches,
        )


class GatewayItem(BaseModel):
    """A gateway, and the port it listens on."""

    name: str
    node: str
    pid: int
    port: int


def _home(stream: str, address: Address) -> HomeItem:
    category, key = split_stream(stream)
    return HomeItem(actor=category, id=key, node=address.node, pid=address.pid)


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
