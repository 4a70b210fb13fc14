"""What clients saw of one run, and the faults that they lived through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from actors.errors import (
    ActorsError,
    CommandFailed,
    InvalidCommand,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)
from actors.runtime.wire import CommandEnvelope, Done
from actors.store.event_store import stream_name

Submit = Callable[[CommandEnvelope], Awaitable[Done]]

# "Nothing was written", and the state of the actor had no part in it.
FAILED = (CommandFailed, InvalidCommand, Overloaded, Unavailable)


@dataclass(slots=True, eq=False)
class Operation:
    """One command of one client. Times are of the monotonic clock of this process, in seconds.

    Attributes:
        outcome: what came back; None while nothing has.
        ended: when; infinite until then, and for an outcome that stayed unknown: it may be done at any later time.
    """

    envelope: CommandEnvelope
    began: float
    ended: float = float("inf")
    outcome: Done | ActorsError | None = None

    @property
    def stream(self) -> str:
        return stream_name(self.envelope.category, self.envelope.key)

    @property
    def command(self) -> tuple[str, str, str]:
        """What a retry has in common with it, besides the command id."""
        return (self.stream, self.envelope.command, self.envelope.data)

    @property
    def done(self) -> Done | None:
        return self.outcome if isinstance(self.outcome, Done) else None

    @property
    def unknown(self) -> bool:
        """Whether it may have been done."""
        return isinstance(self.outcome, OutcomeUnknown)

    @property
    def refused(self) -> bool:
        """Whether the state of the actor forbade it."""
        return isinstance(self.outcome, Rejected | WrongExpectedVersion)


@dataclass(slots=True, eq=False)
class Fault:
    """Something bad, from when to when."""

    name: str
    began: float
    healed: float = float("inf")


@dataclass
class History:
    """The operations of one run, in the order in which they began, and its faults."""

    operations: list[Operation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, submit: Submit, envelope: CommandEnvelope) -> Operation:
        """Send a command, and keep what came of it."""
        operation = Operation(envelope, time.monotonic())
        self.operations.append(operation)
        try:
            operation.outcome = await submit(envelope)
        except ActorsError as exc:
            operation.outcome = exc
        if not operation.unknown:
            operation.ended = time.monotonic()
        self._grown.set()
        return operation

    @property
    def acknowledged(self) -> int:
        return sum(operation.done is not None for operation in self.operations)

    @property
    def unknown(self) -> int:
        return sum(operation.unknown for operation in self.operations)

    async def more(self, commands: int) -> None:
        """Wait until so many more commands that begin from now on are acknowledged."""
        known = len(self.operations)
        while sum(operation.done is not None for operation in self.operations[known:]) < commands:
            self._grown.clear()
            await self._grown.wait()

    async def more_of(self, outcome: type[ActorsError], commands: int) -> None:
        """Wait until so many more commands that begin from now on have got this outcome."""
        known = len(self.operations)
        while sum(isinstance(operation.outcome, outcome) for operation in self.operations[known:]) < commands:
            self._grown.clear()
            await self._grown.wait()

    @contextmanager
    def fault(self, name: str) -> Iterator[Fault]:
        """Something bad happens inside the block, and is over with it."""
        fault = Fault(name, time.monotonic())
        self.faults.append(fault)
        yield fault
        fault.healed = time.monotonic()

    def recovery_s(self, fault: Fault) -> float:
        """From the end of a fault to the first acknowledgement of a command that began after it.

        Answers to older commands may have been on their way already.
        """
        after = [each.ended for each in self.operations if each.done is not None and each.began >= fault.healed]
        return min(after, default=float("inf")) - fault.healed

    def overlapping(self, fault: Fault) -> int:
        """How many operations were under way at some time of a fault."""
        return sum(each.began <= fault.healed and each.ended >= fault.began for each in self.operations)


@asynccontextmanager
async def callers(call: Callable[[int], Awaitable[object]], number: int) -> AsyncIterator[None]:
    """So many callers that repeat `call` until the block ends, and then finish what they have begun."""
    stop = asyncio.Event()

    async def repeat(caller: int) -> None:
        while not stop.is_set():
            await call(caller)

    working = [asyncio.create_task(repeat(caller)) for caller in range(number)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*working)
