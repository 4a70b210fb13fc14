"""The right of a silo to write: won at start, lost with the connection, won back or given up.

Ray can run two copies of one silo, so only PostgreSQL knows who owns a partition. A silo that starts puts a
present holder out, unless a newer service was begun on the log; one that lost its connection takes its partitions back
only if nobody had them meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from actors.process import Pulse
from actors.runtime.wire import Takeover
from actors.store.event_store import EventStore, StoreUnavailable, StoreUnsuitable, WriteSession

LONGEST_PAUSE_S = 1.0
PUT_OUT = "; another session still held partitions and was put out"

T = TypeVar("T")


class Ownership:
    """Keeps a store open and its partitions owned, however long that takes.

    Args:
        silo: name that the ownership table shows.
        owned: which partitions are this silo's, given their number.
        open_store: connects; called again until it succeeds.
        generation: of the service.
        pulse: rests while nothing is owned.
        cause: why the process of this silo was started, for people.
        now: Unix time in seconds.

    Attributes:
        store: None until it could be opened.
        session: None while nothing is owned.
        trouble: why nothing is owned, for people; None while something is.
        takeover: the last one; None before the first.
    """

    def __init__(
        self,
        silo: str,
        owned: Callable[[int], Collection[int]],
        open_store: Callable[[], Awaitable[EventStore]],
        generation: int,
        pulse: Pulse,
        cause: str,
        now: Callable[[], float],
    ) -> None:
        self._silo = silo
        self._owned = owned
        self._open_store = open_store
        self._generation = generation
        self._pulse = pulse
        self._cause = cause
        self._now = now
        self.store: EventStore | None = None
        self.session: WriteSession | None = None
        self.trouble: str | None = "it has just started"
        self.takeover: Takeover | None = None

    async def acquire(self) -> WriteSession:
        """Open the store and own the partitions; puts out whoever holds them.

        Raises:
            Superseded: a newer service was begun.
        """
        store = await self._insist(self._open_store)
        owned = self._owned(store.info.partitions)
        self.store = store
        return await self._own(partial(store.take_over, self._silo, owned, self._generation), self._cause)

    async def reclaim(self, store: EventStore, lost: WriteSession, why: str) -> WriteSession:
        """Own the partitions of a broken session again; `why` it broke is for people.

        Raises:
            Superseded, Deposed: a newer service was begun, or somebody else had them meanwhile.
        """
        await lost.close()
        take_over = partial(store.take_over, self._silo, tuple(lost.epochs), self._generation, reclaim=lost)
        return await self._own(take_over, f"it had lost the log: {why}")

    def lose(self, why: str) -> None:
        """Own nothing from now on."""
        self.session, self.trouble = None, why

    async def _own(self, take_over: Callable[[], Awaitable[WriteSession]], why: str) -> WriteSession:
        session = await self._insist(take_over)
        self.session, self.trouble = session, None
        self.takeover = Takeover(self._now(), f"{why}{PUT_OUT if session.put_out else ''}")
        return session

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        # However long the log may be away, that is not this silo's standing still.
        self._pulse.rest()

        async def attempt() -> T:
            return await step()

        retrying = AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, StoreUnsuitable)),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_S),
            before_sleep=self._note,
        )
        return await retrying(attempt)

    def _note(self, state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        self.trouble = str(failure) or type(failure).__name__
