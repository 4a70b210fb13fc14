"""Homes: where turns of one actor can be taken outside the memory of its silo.

The silo decides which command is next, and it alone writes: it sends commands to a home and gets turns back, which it
journals like those it took itself. So what a home did not return never happened, whenever it dies or however late it
answers.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from typing_extensions import override


class HomeLost(Exception):
    """A home is gone, gives no answer, or could not be opened; nothing came of what it was asked."""


class Address(msgspec.Struct, frozen=True, array_like=True):
    """Where a home is: the id of its process, and the address of its node."""

    pid: int
    node: str


class Home(Protocol):
    """A place for one actor, which holds a `Resident`."""

    @property
    def address(self) -> Address: ...

    async def take_turns(self, blob: bytes) -> bytes:
        """See `Resident.take_turns`. Raises `HomeLost`."""
        ...

    async def close(self) -> None:
        """End it at once, whatever it does; also one that is lost."""
        ...


class Homes(Protocol):
    """Opens homes."""

    async def open(self, stream: str, partition: int) -> Home:
        """A new home for the actor of a stream. Raises `HomeLost` when there cannot be one at the moment."""
        ...


class Nowhere(Homes):
    """There are no homes: all actors live in their silo."""

    @override
    async def open(self, stream: str, partition: int) -> Home:
        raise HomeLost("there are no homes here")
