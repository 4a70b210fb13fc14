"""Both ends of the way between a silo and the home of one of its actors.

The state moves on at both ends: in the home with its turns, in the silo with their events. So the silo can go on by
itself at any moment, and it sends the state only when it cannot be sure that the home has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.domain.decider import AnyDecider
from actors.runtime.activation import Activation
from actors.runtime.home import Address, Home, HomeLost
from actors.runtime.turn import Turn, take_turn
from actors.runtime.wire import CommandEnvelope, encode

# Commands wait ten seconds by default: when a process hangs, there must be time to take their turns elsewhere.
TURNS_TIMEOUT_S = 4.0


class Round(msgspec.Struct, frozen=True, array_like=True):
    """Commands whose turns are to be taken in a home.

    Attributes:
        generation: counts the states that were sent to this home.
        version: that the actor has before the first of the commands.
        state: of this generation, as `Activation.dehydrate` makes it; None when the home has it.
        silo: name that goes into the metadata of events.
    """

    generation: int
    version: int
    state: bytes | None
    silo: str
    commands: Sequence[CommandEnvelope]


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_rounds = msgspec.msgpack.Decoder(Round)
_turns = msgspec.msgpack.Decoder(list[Turn])


def encode_round(asked: Round) -> bytes:
    """The blob that `Resident.take_turns` takes."""
    return _encoder.encode(asked)


class Resident:
    """An actor in its home: holds a state, and takes the turns that its silo sends."""

    def __init__(self, decider: AnyDecider, stream: str, partition: int) -> None:
        self._activation: Activation[Any] = Activation(decider, stream, partition)
        self._generation = 0

    def take_turns(self, blob: bytes) -> bytes:
        """The turns of a `Round`, in order; none when this is not the state that they are for."""
        asked = _rounds.decode(blob)
        if asked.state is not None and asked.generation > self._generation:
            self._activation.rehydrate(asked.state)
            self._generation = asked.generation
        if (asked.generation, asked.version) != (self._generation, self._activation.version):
            return encode([])
        return encode([take_turn(self._activation, envelope, asked.silo) for envelope in asked.commands])

    def describe(self) -> str:
        """The state as JSON, for people: it may be ahead of the log, and a lost home's is behind."""
        activation = self._activation
        shown = {"stream": activation.stream, "version": activation.version, "state": activation.state}
        return msgspec.json.encode(shown, enc_hook=repr).decode()


class OwnHome:
    """The home of one actor, as its silo sees it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._generation = 0
        self._resident: Activation[Any] | None = None
        self._version = 0
        self._used_at = time.monotonic()

    @property
    def address(self) -> Address:
        return self._home.address

    async def take_turns(
        self, activation: Activation[Any], envelopes: Sequence[CommandEnvelope], silo: str
    ) -> list[Turn]:
        """The turns of some commands, in order; `activation` has yet to follow.

        Args:
            silo: name that goes into the metadata of events.

        Raises:
            HomeLost: there are none, and this home must not be asked again.
        """
        self._used_at = time.monotonic()
        state = None
        if self._resident is not activation or self._version != activation.version:
            self._generation += 1
            state = _dehydrated(activation)
        turns = await self._ask(Round(self._generation, activation.version, state, silo, envelopes))
        written = [event.version for turn in turns for event in turn.events]
        self._resident, self._version = activation, max(written, default=activation.version)
        return turns

    async def unused_for(self, seconds: float) -> None:
        """Wait until it was not asked for so long."""
        while (rest := self._used_at + seconds - time.monotonic()) > 0:  # noqa: ASYNC110 - only time can tell
            await asyncio.sleep(rest)

    async def close(self) -> None:
        """End it at once."""
        await self._home.close()

    async def _ask(self, asked: Round) -> list[Turn]:
        try:
            async with asyncio.timeout(TURNS_TIMEOUT_S):
                turns = _turns.decode(await self._home.take_turns(encode_round(asked)))
        except (TimeoutError, msgspec.DecodeError) as exc:
            raise HomeLost(f"no answer: {type(exc).__name__}") from exc
        if len(turns) != len(asked.commands):
            raise HomeLost("it does not have the state")
        return turns


def _dehydrated(activation: Activation[Any]) -> bytes:
    try:
        return activation.dehydrate()
    except Exception as exc:
        # The domain's types are not ours; with them, the actor has to stay in its silo.
        raise HomeLost(f"its state cannot be sent: {exc}") from exc
