"""Homes that are lost, or pause, at any moment of a round."""

from __future__ import annotations

import asyncio
import random

from typing_extensions import override

from actors.runtime.home import Home, HomeLost
from tests.account import ACCOUNT
from tests.in_process import LocalHomes

LOST = 0.3
PAUSED = 0.02
PAUSE_S = 0.1


class UnreliableHomes(LocalHomes):
    """They work, but not for long."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__([ACCOUNT])
        self._chance = chance

    @override
    async def open(self, stream: str, partition: int) -> Home:
        await asyncio.sleep(0)
        await super().open(stream, partition)
        home = self.open_now[stream]
        home.before_turns = home.after_turns = self._perhaps
        return home

    async def _perhaps(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        fate = self._chance.random()
        if fate < LOST:
            raise HomeLost("bad luck")
        if fate < LOST + PAUSED:
            await asyncio.sleep(PAUSE_S)
