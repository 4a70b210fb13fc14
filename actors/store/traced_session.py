"""A write session that makes a span for each command whose events it appends."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from typing_extensions import override

from actors import spans
from actors.store.event_store import NewEvent, RecordedEvent, WriteSession


def traced(session: WriteSession, silo: str) -> WriteSession:
    """The session itself when nobody wants spans."""
    return TracedSession(session, silo) if spans.wanted() else session


class TracedSession(WriteSession):
    """The right to append, of a silo whose commands are traced."""

    def __init__(self, session: WriteSession, silo: str) -> None:
        self._session = session
        self._silo = silo

    @property
    @override
    def epochs(self) -> Mapping[int, int]:
        return self._session.epochs

    @property
    @override
    def heads(self) -> Mapping[int, int]:
        return self._session.heads

    @property
    @override
    def head_epochs(self) -> Mapping[int, int]:
        return self._session.head_epochs

    @property
    @override
    def put_out(self) -> bool:
        return self._session.put_out

    @override
    async def append(self, events: Sequence[NewEvent]) -> Sequence[int]:
        began_ns = time.time_ns()
        positions = await self._session.append(events)
        for event, position in zip(events, positions, strict=True):
            if not event.ordinal:
                place: spans.Attributes = {
                    "rayleans.silo": self._silo,
                    "rayleans.partition": event.partition,
                    "rayleans.position": position,
                }
                spans.event_span("append", event.metadata, began_ns, place)
        return positions

    @override
    async def prove(self, command_ids: Collection[UUID] = ()) -> Mapping[UUID, Sequence[RecordedEvent]]:
        return await self._session.prove(command_ids)

    @override
    async def close(self) -> None:
        await self._session.close()
