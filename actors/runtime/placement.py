"""Placement: which actors live in the memory of their silo, and which have a home of their own.

A home is a process, which costs about a second of CPU to start and 50 MB. So it is for few, and nobody needs to wait
for one: until it is there, and after it was lost, turns are taken in the silo.
"""

from __future__ import annotations

import asyncio
import logging
import time
from enum import StrEnum
from typing import Any

from actors.runtime.activation import Activation
from actors.runtime.home import Address, HomeLost, Homes
from actors.runtime.own_home import OwnHome

log = logging.getLogger(__name__)

# With placement `own`, the first commands of an actor wait this long for its home.
OWN_PATIENCE_S = 5.0
IDLE_S = 300.0
PAUSE_AFTER_FAILURE_S = 2.0
# More at once would only wait for each other's processes, and all of them for too long.
OPENED_AT_ONCE = 2
# With placement `auto`, homes are opened one at a time, so that processes that start stay in nobody's way.
AUTO_PAUSE_S = 5.0
# With placement `auto`, an actor is worth a home that within a minute has so many commands, and a hundredth of all.
BUSY_WINDOW_S = 60.0
BUSY_COMMANDS = 10
BUSY_SHARE = 0.01


class Placement(StrEnum):
    """Where actors live.

    AUTO: in their silo at once; the busiest few get a home of their own in the background.
    OWN: in a home of their own.
    SHARED: in their silo.
    """

    AUTO = "auto"
    OWN = "own"
    SHARED = "shared"

    @property
    def homes_per_cpu(self) -> int:
        """How many homes a cluster has room for. For `own` it only keeps a mistake from taking the machine down."""
        return {Placement.AUTO: 4, Placement.OWN: 64, Placement.SHARED: 0}[self]


class Activity:
    """Tells the busy actors of the present minute from the others."""

    def __init__(self) -> None:
        self._commands: dict[str, int] = {}
        self._all = 0

    def count(self, stream: str, commands: int) -> bool:
        """Count commands for an actor; whether it is busy."""
        if not self._all:
            asyncio.get_running_loop().call_later(BUSY_WINDOW_S, self.forget)
        count = self._commands[stream] = self._commands.get(stream, 0) + commands
        self._all += commands
        return count >= BUSY_COMMANDS and count >= self._all * BUSY_SHARE

    def forget(self) -> None:
        """The minute is over."""
        self._commands.clear()
        self._all = 0


class OwnHomes:
    """The homes of those actors of a silo that have their own.

    Args:
        placement: which actors get one.
        homes: opens them.
        most: so many at once.
        idle_s: a home that is not used for so long is closed.
    """

    def __init__(self, placement: Placement, homes: Homes, most: int, *, idle_s: float = IDLE_S) -> None:
        self._placement = placement
        self._source = homes
        self._most = most
        self._idle_s = idle_s
        self._homes: dict[str, OwnHome] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._awaited: dict[str, asyncio.Future[None]] = {}
        self._doors = asyncio.Semaphore(OPENED_AT_ONCE)
        self._activity = Activity()
        self._rest_until = 0.0

    @property
    def addresses(self) -> dict[str, Address]:
        """Where those live that have a home of their own, by stream."""
        return {stream: home.address for stream, home in list(self._homes.items())}

    def lives_there(self, activation: Activation[Any], commands: int) -> bool:
        """Whether the turns of the next so many commands are to be taken in a home, or to wait for one."""
        stream = activation.stream
        if stream in self._homes:
            return True
        if len(self._keepers) < self._most and self._deserves_one(activation, commands):
            self._begin(activation)
        return stream in self._awaited

    async def of(self, activation: Activation[Any]) -> OwnHome | None:
        """The home of an actor, after a while if it is opened just now; None when its turns are taken in the silo."""
        opened = self._awaited.get(activation.stream)
        if opened is not None:
            await asyncio.wait([opened], timeout=OWN_PATIENCE_S)
            self._awaited.pop(activation.stream, None)
        return self._homes.get(activation.stream)

    def give_up(self, activation: Activation[Any], home: OwnHome) -> None:
        """Close a home that was lost, unless its actor has another by now."""
        if self._homes.get(activation.stream) is home:
            self._rest(PAUSE_AFTER_FAILURE_S)
            del self._homes[activation.stream]
            self._keepers[activation.stream].cancel()

    async def close(self) -> None:
        """Close all homes, and open no more."""
        self._most = 0
        keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    def _deserves_one(self, activation: Activation[Any], commands: int) -> bool:
        # This is asked for every command, and most end at the first question.
        if self._placement is Placement.AUTO and not self._activity.count(activation.stream, commands):
            return False
        if activation.stream in self._keepers or not activation.decider.lives_long:
            return False  # The home that it had before may not be closed yet.
        one_is_opened = len(self._keepers) > len(self._homes)
        may_be_opened = self._placement is Placement.OWN or not one_is_opened
        return may_be_opened and time.monotonic() >= self._rest_until

    def _begin(self, activation: Activation[Any]) -> None:
        loop, stream = asyncio.get_running_loop(), activation.stream
        opened = loop.create_future()
        if self._placement is Placement.OWN:
            self._awaited[stream] = opened
        keeper = loop.create_task(self._keep(stream, activation.partition, opened))
        self._keepers[stream] = keeper
        keeper.add_done_callback(lambda _: self._keepers.pop(stream))

    async def _keep(self, stream: str, partition: int, opened: asyncio.Future[None]) -> None:
        """Open a home, and close it when it is idle or given up."""
        try:
            home = await self._open(stream, partition)
        finally:
            opened.set_result(None)  # Whatever came of it, commands wait no longer.
        if home is None:
            return
        self._homes[stream] = home
        try:
            await home.unused_for(self._idle_s)
        finally:
            self._homes.pop(stream, None)
            await home.close()

    async def _open(self, stream: str, partition: int) -> OwnHome | None:
        pause_s = AUTO_PAUSE_S if self._placement is Placement.AUTO else 0.0
        try:
            async with self._doors:
                return OwnHome(await self._source.open(stream, partition))
        except HomeLost as lost:
            log.warning("no home of its own", extra={"stream": stream, "reason": str(lost)})
            pause_s = PAUSE_AFTER_FAILURE_S
            return None
        finally:
            self._rest(pause_s)

    def _rest(self, pause_s: float) -> None:
        self._rest_until = max(self._rest_until, time.monotonic() + pause_s)
