"""How many requests wait for this gateway, and how many keep it waiting: neither is at the expense of the other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from litestar.types import Receive
from litestar.types.asgi_types import HTTPReceiveMessage

from actors.errors import Overloaded
from gateway.http.limits import Limits


@dataclass(slots=True)
class Places:
    """Counts.

    Attributes:
        waiting: requests that wait for the beginning of their answer.
        slow: requests whose sender takes long over the body.
    """

    limits: Limits
    waiting: int = 0
    slow: int = 0

    @property
    def full(self) -> bool:
        """Whether one more cannot wait."""
        return self.waiting >= self.limits.waiting


class Place:
    """Where one request waits, from its head to the beginning of its answer.

    Args:
        receive: gives the next piece of its body.
    """

    __slots__ = ("_aside", "_left", "_patience_s", "_places", "_receive")

    def __init__(self, places: Places, receive: Receive) -> None:
        self._places = places
        self._receive = receive
        self._patience_s = places.limits.patience_s
        self._aside = self._left = False
        places.waiting += 1

    async def receive(self) -> HTTPReceiveMessage:
        """The next piece of the body. Who takes long over all that were asked for takes nobody's place from then on.

        Raises:
            Overloaded: too many senders do.
        """
        if self._left:
            return await self._receive()  # type: ignore[return-value]
        began = time.monotonic()
        try:
            async with asyncio.timeout(None) as refusal:
                late = self._wait_patiently(refusal)
                try:
                    return await self._receive()  # type: ignore[return-value]
                finally:
                    if late is not None:
                        late.cancel()
                    self._step_back()
                    self._patience_s -= time.monotonic() - began
        except TimeoutError as exc:
            raise Overloaded("too many bodies are on their way") from exc

    def leave(self) -> None:
        """The answer has begun, or there will be none."""
        self._step_back()
        if not self._left:
            self._left = True
            self._places.waiting -= 1

    def _wait_patiently(self, refusal: asyncio.Timeout) -> asyncio.TimerHandle | None:
        """Step aside when the patience ends, which `TimerHandle` stands for, or now if it has ended."""
        if self._patience_s > 0.0:
            return asyncio.get_running_loop().call_later(self._patience_s, self._step_aside, refusal)
        self._step_aside(refusal)
        return None

    def _step_aside(self, refusal: asyncio.Timeout) -> None:
        if self._left:
            return
        if self._places.slow >= self._places.limits.slow:
            refusal.reschedule(asyncio.get_running_loop().time())
            return
        self._aside = True
        self._places.waiting -= 1
        self._places.slow += 1

    def _step_back(self) -> None:
        if self._aside:
            self._aside = False
            self._places.waiting += 1
            self._places.slow -= 1
