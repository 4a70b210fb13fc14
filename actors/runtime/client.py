"""Sends each command to the silo that has its actor, and again until it has an outcome or its deadline has passed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, retry_if_result, wait_random_exponential

from actors.errors import (
    CommandFailed,
    CommandIdReused,
    InvalidCommand,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)
from actors.runtime.lane import Lane, Lost, NotSent
from actors.runtime.wire import (
    CommandEnvelope,
    Done,
    Failed,
    Full,
    Invalid,
    Layout,
    Mismatch,
    NotNow,
    Outcome,
    Refused,
    Reused,
    SiloStatus,
)
from actors.store.event_store import StoreInfo, partition_of, stream_name
from actors.store.token import TokenCodec

PROBE_TIMEOUT_S = 2.0
# Between two tries.
PAUSE = wait_random_exponential(multiplier=0.05, max=0.5)
LAYOUT_FRESH_S = 1.0
NO_LOG = "no silo has reached the log yet"


class CommandSender(Protocol):
    """Where commands go in; the gateway and the Python references use nothing else."""

    @property
    def tokens(self) -> TokenCodec:
        """Reads and writes the consistency tokens of the store. Raises `Unavailable` before it is known."""
        ...

    async def meet(self, deadline: float) -> TokenCodec:
        """`tokens`, as soon as the silos are found.

        Raises:
            Unavailable: they were not by the `deadline`, Unix time in seconds.
        """
        ...

    async def submit(self, command: CommandEnvelope) -> Done:
        """Send one command and wait for its outcome until the command's deadline.

        Retries by itself, under the same command id, whatever may pass.

        Raises:
            ActorsError: see `actors.errors`; each class says whether the command was written.
        """
        ...

    async def not_ready(self) -> list[str]:
        """Why commands cannot be taken at the moment, one sentence each; empty when they can."""
        ...


class Transport(Protocol):
    """How bytes reach a silo. Each call raises `Lost` when no answer came, `NotSent` when it could not be made."""

    async def execute(self, silo: int, blob: bytes) -> bytes:
        """A batch of commands there, their outcomes back; `Later` for those that take long, see `Silo.execute`."""
        ...

    async def rest(self, silo: int, ticket: int) -> bytes:
        """The outcomes of a batch that were not there when the others were, or are not yet; see `Silo.rest`."""
        ...

    async def layout(self) -> Layout | None:
        """How commands find their silo; None while no silo has reached the log."""
        ...

    async def status(self, silo: int) -> SiloStatus:
        """What a silo says of itself."""
        ...


class Client:
    """The one way from callers to silos.

    Args:
        transport: how bytes reach a silo.
        now: Unix time in seconds, for deadlines.
    """

    def __init__(self, transport: Transport, *, now: Callable[[], float] = time.time) -> None:
        self._transport = transport
        self._now = now
        self._layout: Layout | None = None
        self._tokens: TokenCodec | None = None
        self._lanes: list[Lane] = []
        self._finding: asyncio.Task[None] | None = None
        self._layout_until = 0.0

    async def start(self) -> None:
        """Find the silos, so that `tokens` works from the first moment.

        Raises:
            Unavailable: there are none, or they have not reached the log.
        """
        try:
            await self._find_layout()
        except (Lost, NotSent) as trouble:
            raise Unavailable(str(trouble)) from trouble
        if self._layout is None:
            raise Unavailable(NO_LOG)

    @property
    def tokens(self) -> TokenCodec:
        if self._tokens is None:
            raise Unavailable(NO_LOG)
        return self._tokens

    async def meet(self, deadline: float) -> TokenCodec:
        if self._tokens is None:
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(Unavailable), wait=PAUSE, stop=self._past(deadline), reraise=True
            )
            await retrying(self.start)
        return self.tokens

    async def submit(self, command: CommandEnvelope) -> Done:
        outcome = await self._attempt(command)
        if isinstance(outcome, NotNow | Lost):
            outcome = await self._insist(command, outcome)
        return _done(command, outcome)

    async def not_ready(self) -> list[str]:
        try:
            await self._find_layout()
        except (Lost, NotSent) as trouble:
            return [str(trouble)]
        if self._layout is None:
            return [await self._complaint(0) or NO_LOG]
        complaints = await asyncio.gather(*(self._complaint(silo) for silo in range(self._layout.silos)))
        return [complaint for complaint in complaints if complaint]

    async def _complaint(self, silo: int) -> str | None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                trouble = (await self._transport.status(silo)).trouble
        except (Lost, NotSent, TimeoutError):
            return f"silo/{silo} does not answer"
        return None if trouble is None else f"silo/{silo} cannot write: {trouble}"

    async def _attempt(self, command: CommandEnvelope) -> Outcome | Lost:
        if self._layout is None:
            try:
                await self._find_layout()
            except (Lost, NotSent) as trouble:
                return NotNow(str(trouble))
        if self._layout is None:
            return NotNow(NO_LOG)
        stream = stream_name(command.category, command.key)
        silo = partition_of(stream, self._layout.partitions) % self._layout.silos
        return await self._lanes[silo].send(command)

    async def _insist(self, command: CommandEnvelope, first: NotNow | Lost) -> Outcome | Lost:
        """Try again until the deadline. After a lost answer, "not now" of another try says nothing of the outcome."""
        lost = first if isinstance(first, Lost) else None

        async def again() -> Outcome | Lost:
            nonlocal lost
            await self._refresh_layout()
            outcome = await self._attempt(command)
            lost = outcome if isinstance(outcome, Lost) else lost
            return outcome

        retrying = AsyncRetrying(
            retry=retry_if_result(lambda outcome: isinstance(outcome, NotNow | Lost)),
            wait=PAUSE,
            stop=self._past(command.deadline),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else first,
        )
        outcome: Outcome | Lost = await retrying(again)
        return lost if lost is not None and isinstance(outcome, NotNow | Full) else outcome

    def _past(self, deadline: float) -> Callable[[RetryCallState], bool]:
        """Whether the next try would come after a deadline."""
        return lambda state: self._now() + state.upcoming_sleep >= deadline

    async def _find_layout(self) -> None:
        if self._finding is None or self._finding.done():
            self._finding = asyncio.get_running_loop().create_task(self._ask_layout())
        await asyncio.shield(self._finding)

    async def _refresh_layout(self) -> None:
        """Silos may have been started anew with another number of them."""
        if self._layout is not None and asyncio.get_running_loop().time() > self._layout_until:
            with suppress(Lost, NotSent):
                await self._find_layout()

    async def _ask_layout(self) -> None:
        self._layout_until = asyncio.get_running_loop().time() + LAYOUT_FRESH_S
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                layout = await self._transport.layout()
        except TimeoutError as exc:
            raise Lost("no silo answers") from exc
        if layout is None or layout == self._layout:
            return
        self._layout = layout
        self._tokens = TokenCodec(StoreInfo(layout.store_id, layout.secret, layout.partitions))
        self._lanes = [self._lane_to(silo) for silo in range(layout.silos)]

    def _lane_to(self, silo: int) -> Lane:
        way = self._transport
        return Lane(lambda blob: way.execute(silo, blob), lambda ticket: way.rest(silo, ticket), self._now)


def _done(command: CommandEnvelope, outcome: Outcome | Lost) -> Done:
    match outcome:
        case Done():
            return outcome
        case Refused():
            raise Rejected(outcome.code, outcome.message, outcome.absent)
        case Mismatch():
            expected = command.expected_version or 0
            raise WrongExpectedVersion(stream_name(command.category, command.key), expected, outcome.actual)
        case Reused():
            raise CommandIdReused(command.command_id)
        case Invalid():
            raise InvalidCommand(outcome.message)
        case Failed():
            raise CommandFailed(outcome.message)
        case Full():
            raise Overloaded("too many commands are waiting")
        case NotNow():
            raise Unavailable(outcome.reason)
        case Lost():
            raise OutcomeUnknown(command.command_id, str(outcome))
