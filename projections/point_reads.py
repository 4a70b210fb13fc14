"""Questions for single rows, many with one statement: those that come while others are being answered go together.

An idle view is asked at once. A statement begins after all questions came that it answers, so that nobody gets a row
older than his question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

MOST_KEYS = 256
STATEMENTS_AT_ONCE = 2

V = TypeVar("V")


class PointReads(Generic[V]):
    """Answers questions by key.

    Args:
        fetch: the answers for some keys, each of them once, with one statement.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Mapping[str, V]]]) -> None:
        self._fetch = fetch
        self._waiting: dict[str, list[asyncio.Future[V]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> V:
        """The answer for a key. Raises as `fetch`."""
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if len(self._under_way) < STATEMENTS_AT_ONCE:
            self._start()
        return await answer

    def _start(self) -> None:
        work = asyncio.get_running_loop().create_task(self._ask())
        self._under_way.add(work)
        work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Task[None]) -> None:
        self._under_way.discard(work)
        if self._waiting and not work.cancelled():
            self._start()

    async def _ask(self) -> None:
        # Taken here and not where the task is made, so that whoever asks in the same tick is among them.
        taken = {key: self._waiting.pop(key) for key in list(islice(self._waiting, MOST_KEYS))}
        if not taken:
            return
        open_answers = [answer for answers in taken.values() for answer in answers]
        try:
            found = await self._fetch(list(taken))
        except Exception as exc:  # noqa: BLE001 - whatever it is, each of them must know
            for answer in open_answers:
                if not answer.done():
                    answer.set_exception(exc)
            return
        for key, answers in taken.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(found[key])
