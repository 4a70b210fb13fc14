"""The way from one client to one silo: collects commands, sends them together, hands the outcomes back.

Commands that are waiting at the same time travel together. An idle lane sends at once; a busy one collects until its
call is back, or takes long, or many wait. So batches form when there is something to batch, and only then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from actors.runtime.wire import CommandEnvelope, Full, Invalid, Later, NotNow, Outcome, decode_parts, encode

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_COMMANDS = 256
MAX_BYTES = 1024 * 1024
# So many commands must wait for a call to leave while none, one, two … are out. Two half-empty batches cost twice as
# much as a full one, but caller, silo and log work at the same time only when each has a batch.
ENOUGH = (1, 64, MAX_COMMANDS, MAX_COMMANDS)
# A call that is out for longer waits for an actor that is being loaded or started; others need not wait for it too.
SLOW_S = 0.25
MAX_CALLS_OUT = 32
SWEEP_S = 0.05
TOO_LATE = NotNow("the deadline passed before it could be sent")

Execute = Callable[[bytes], Awaitable[bytes]]
Rest = Callable[[int], Awaitable[bytes]]


class Lost(Exception):
    """No answer came: what was sent may have been done, or may yet be."""


class Unreadable(Lost):
    """An answer came, but of bytes that say nothing here."""

    def __str__(self) -> str:
        return "the answer of the silo cannot be read; does it run the same release?"


class NotSent(Exception):
    """Nothing left this process, so nothing was done."""


class Parcel(msgspec.Struct, eq=False):
    """A command on the way, and who waits for it."""

    command: CommandEnvelope
    answer: asyncio.Future[Outcome | Lost]


class Lane:
    """Commands of one client for one silo.

    Args:
        execute: sends a blob to the silo; raises `Lost` when no answer comes.
        rest: asks the silo for outcomes that were not there; raises likewise.
        now: Unix time in seconds, for deadlines.
    """

    def __init__(self, execute: Execute, rest: Rest, now: Callable[[], float]) -> None:
        self._execute = execute
        self._rest = rest
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Parcel] = deque()
        self._waiting_bytes = 0
        self._travelling: set[Parcel] = set()
        # When each call left.
        self._calls: dict[asyncio.Task[None], float] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def send(self, command: CommandEnvelope) -> asyncio.Future[Outcome | Lost]:
        """Send one command. Its outcome comes later; `Lost` when its deadline passed without an answer."""
        answer: asyncio.Future[Outcome | Lost] = self._loop.create_future()
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            answer.set_result(Full())
            return answer
        self._waiting_bytes += len(command.data)
        self._waiting.append(Parcel(command, answer))
        if len(self._waiting) in ENOUGH:
            self._loop.call_soon(self._depart)
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP_S, self._give_up_overdue)
        return answer

    def _depart(self) -> None:
        while self._is_time(self._loop.time()):
            call = self._loop.create_task(self._travel(self._load()))
            self._calls[call] = self._loop.time()
            call.add_done_callback(self._back)

    def _is_time(self, now: float) -> bool:
        prompt = sum(now - left < SLOW_S for left in self._calls.values())
        if prompt == len(ENOUGH) or len(self._calls) == MAX_CALLS_OUT:
            return False
        return len(self._waiting) >= ENOUGH[prompt]

    def _load(self) -> list[Parcel]:
        """What leaves next. What is too late does not: nobody waits for its answer, so nothing may be done."""
        parcels: list[Parcel] = []
        now, size = self._now(), 0
        while self._waiting and len(parcels) < MAX_COMMANDS and size < MAX_BYTES:
            parcel = self._waiting.popleft()
            self._waiting_bytes -= len(parcel.command.data)
            if parcel.command.deadline < now:
                _answer(parcel, TOO_LATE)
            elif not parcel.answer.done():
                parcels.append(parcel)
                size += len(parcel.command.data)
        return parcels

    async def _travel(self, parcels: list[Parcel]) -> None:
        try:
            blob = encode([parcel.command for parcel in parcels])
        except Exception:  # noqa: BLE001 - one command that cannot be written must fail alone
            parcels = [parcel for parcel in parcels if _can_be_written(parcel)]
            blob = encode([parcel.command for parcel in parcels])
        if not parcels:
            return
        self._travelling.update(parcels)
        try:
            outcomes = await self._outcomes(parcels, self._execute(blob))
        except NotSent as not_sent:
            outcomes = [NotNow(str(not_sent))] * len(parcels)
        while late := self._hand_out(parcels, outcomes):
            parcels, ticket = late
            try:
                outcomes = await self._outcomes(parcels, self._rest(ticket))
            except NotSent as not_sent:
                # The question was not sent; the commands were.
                outcomes = [Lost(str(not_sent))] * len(parcels)

    def _hand_out(
        self, parcels: Sequence[Parcel], outcomes: Sequence[Outcome | Later | Lost]
    ) -> tuple[list[Parcel], int] | None:
        """Answer those whose outcome is there; the others, and the ticket to ask for theirs."""
        late, ticket = [], 0
        for parcel, outcome in zip(parcels, outcomes, strict=True):
            if isinstance(outcome, Later):
                late.append(parcel)
                ticket = outcome.ticket
            else:
                self._travelling.discard(parcel)
                _answer(parcel, outcome)
        return (late, ticket) if late else None

    async def _outcomes(self, parcels: Sequence[Parcel], call: Awaitable[bytes]) -> Sequence[Outcome | Later | Lost]:
        """What a call comes to, for each of some parcels. Raises `NotSent`."""
        patience = max(parcel.command.deadline for parcel in parcels) - self._now()
        try:
            async with asyncio.timeout(max(patience, 0) + SWEEP_S):
                outcomes = decode_parts(await call)
        except NotSent:
            raise
        except Lost as lost:
            return [lost] * len(parcels)
        except TimeoutError:
            return [Lost("the silo did not answer in time")] * len(parcels)
        except msgspec.DecodeError:
            return [Unreadable()] * len(parcels)
        except Exception as bug:
            # Nobody may wait for ever, whatever Ray may raise.
            log.exception("a call to a silo failed")
            return [Lost(f"the call failed: {type(bug).__name__}")] * len(parcels)
        if len(outcomes) != len(parcels):
            return [Lost("the silo did not answer each command")] * len(parcels)
        return outcomes

    def _back(self, call: asyncio.Task[None]) -> None:
        del self._calls[call]
        self._depart()

    def _give_up_overdue(self) -> None:
        """Callers wait no longer than their deadline, also when others of their batch would."""
        now = self._now()
        for parcel in self._travelling:
            if parcel.command.deadline < now:
                _answer(parcel, Lost("the silo did not answer in time"))
        for parcel in self._waiting:
            if parcel.command.deadline < now:
                _answer(parcel, TOO_LATE)
        self._depart()
        busy = self._waiting or self._travelling
        self._sweep = self._loop.call_later(SWEEP_S, self._give_up_overdue) if busy else None


def _can_be_written(parcel: Parcel) -> bool:
    try:
        encode([parcel.command])
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is the caller's
        _answer(parcel, Invalid(f"the command cannot be sent: {exc}"))
        return False
    return True


def _answer(parcel: Parcel, outcome: Outcome | Lost) -> None:
    if not parcel.answer.done():
        parcel.answer.set_result(outcome)
