"""The end of the log, read once for everybody who follows it.

One reader in each gateway, which works while somebody follows. It keeps the latest events ready to be sent, which is
all that is ever buffered; a follower only remembers how many it was given, so one that waits costs next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from actors.errors import Overloaded
from actors.store.event_store import Marks, RecordedEvent, StoreUnavailable, StoreUnsuitable, positions_of
from actors.store.token import TokenCodec
from gateway.queries.frame import Frame
from gateway.queries.log_reader import TIMEOUT_S, LogReader, LostFuture

log = logging.getLogger(__name__)

KEPT_FRAMES = 4_096
# Of large events fewer are kept.
KEPT_BYTES = 32 * 1024**2
BATCH = 64
LONGEST_PAUSE_S = 1.0
# Whoever begins to follow may have to ask the log twice before.
LINGER_S = 3 * TIMEOUT_S
MOST_FOLLOWERS = 5_000
MOST_OF_ONE_SUBJECT = 2_000

WaitForNews = Callable[[Mapping[int, int]], Awaitable[object]]


class Tail:
    """Reads what is new and keeps the latest of it.

    Args:
        tokens: the codec of resume ids, once it is known.
        wait_for_news: returns when a partition may be further than the positions it is given, or after a while.

    Attributes:
        generation: goes up when what was read no longer counts, and whoever follows must begin anew.
        end: how many frames were read so far.
        followers: how many there are.
    """

    def __init__(self, reader: LogReader, tokens: Callable[[], TokenCodec], wait_for_news: WaitForNews) -> None:
        self._reader = reader
        self._tokens = tokens
        self._wait_for_news = wait_for_news
        self._after: Marks = {}
        self._kept: deque[tuple[Frame, bytes]] = deque()
        self._kept_bytes = 0
        self._kept_from: dict[int, int] = {}
        self._moved = asyncio.Event()
        self._followers: Counter[str] = Counter()
        self._work: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._lingers_until = 0.0
        self._closed = False
        self.generation = 0
        self.end = 0

    @property
    def followers(self) -> int:
        return self._followers.total()

    @property
    def _works(self) -> bool:
        return self._work is not None and not self._work.done()

    @contextmanager
    def followed(self, subject: str) -> Iterator[None]:
        """While the block runs there is one more follower."""
        self._followers[subject] += 1
        try:
            yield
        finally:
            self._followers[subject] -= 1
            if not self._followers[subject]:
                del self._followers[subject]

    async def begin(self, subject: str) -> None:
        """Read from here on, unless it is done already; ends by itself when nobody follows for a while.

        Raises:
            Overloaded: too many follow.
            StoreUnavailable: the log is slow or away, or the gateway is being stopped.
        """
        if self.followers >= MOST_FOLLOWERS or self._followers[subject] >= MOST_OF_ONE_SUBJECT:
            raise Overloaded("too many follow the log here")
        async with self._beginning:
            if self._closed:
                raise StoreUnavailable("this gateway is being stopped")
            if not self._works:
                self._after = await self._reader.heads()
                self._kept.clear()
                self._kept_bytes = 0
                self._kept_from = positions_of(self._after)
                self._work = asyncio.get_running_loop().create_task(self._run())
            self._lingers_until = asyncio.get_running_loop().time() + LINGER_S

    async def close(self) -> None:
        """Read no more; whoever follows ends."""
        self._closed = True
        self._end_all()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    def covers(self, after: Marks) -> bool:
        """Whether everything behind these marks was read and is kept, and reading goes on."""
        return self._works and all(
            self._kept_from[partition] <= mark.position <= self._after[partition].position
            for partition, mark in after.items()
        )

    def behind(self, after: Marks) -> Sequence[Frame]:
        """All frames behind marks that it covers."""
        return [frame for frame, _ in self._kept if frame.mark.position > after[frame.partition].position]

    def since(self, seen: int, limit: int) -> Sequence[tuple[Frame, bytes]] | None:
        """The next frames, each with its whole text, for who has seen so many; None when some are no longer kept."""
        start = seen - (self.end - len(self._kept))
        return None if start < 0 else list(islice(self._kept, start, start + limit))

    async def moves(self, timeout_s: float) -> None:
        """Return when there is more, or after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._moved.wait()

    async def _run(self) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, StoreUnsuitable)),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_S),
        )
        try:
            await retrying(self._read)
        except LostFuture:
            log.warning("the log was restored from an older state; followers must begin anew")
        finally:
            self._end_all()

    async def _read(self) -> None:
        while self.followers or asyncio.get_running_loop().time() < self._lingers_until:
            events = await self._reader.behind(self._after, limit=BATCH)
            for event in events:
                self._keep(event)
            if events:
                self._announce()
            else:
                await self._wait_for_news(positions_of(self._after))

    def _keep(self, event: RecordedEvent) -> None:
        self._after = {**self._after, **event.marks}
        frame = Frame.of(event)
        text = frame.under(self._tokens().encode(self._after))
        self._kept.append((frame, text))
        self._kept_bytes += len(frame.lines) + len(text)
        self.end += 1
        while len(self._kept) > KEPT_FRAMES or self._kept_bytes > KEPT_BYTES:
            dropped, text = self._kept.popleft()
            self._kept_bytes -= len(dropped.lines) + len(text)
            self._kept_from[dropped.partition] = dropped.mark.position

    def _end_all(self) -> None:
        self.generation += 1
        self._announce()

    def _announce(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
