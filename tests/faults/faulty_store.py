"""A store whose sessions do what a test tells them to, before and after the real thing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from typing_extensions import override

from actors.store.event_store import EventStore, NewEvent, RecordedEvent, StoreInfo, WriteSession


class Plan:
    """What happens around each append and proof; override what is wanted.

    What it raises is raised to the silo.
    """

    async def before_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None: ...

    async def after_append(self, session: FaultySession, events: Sequence[NewEvent]) -> None: ...

    async def before_proof(self, session: FaultySession) -> None: ...

    async def after_proof(self, session: FaultySession) -> None: ...


class FaultySession(WriteSession):
    """The right to append, with a plan."""

    def __init__(self, inner: WriteSession, plan: Plan) -> None:
        self.inner = inner
        self.plan = plan

    @property
    @override
    def epochs(self) -> Mapping[int, int]:
        return self.inner.epochs

    @property
    @override
    def heads(self) -> Mapping[int, int]:
        return self.inner.heads

    @property
    @override
    def head_epochs(self) -> Mapping[int, int]:
        return self.inner.head_epochs

    @property
    @override
    def put_out(self) -> bool:
        return self.inner.put_out

    @override
    async def append(self, events: Sequence[NewEvent]) -> Sequence[int]:
        await self.plan.before_append(self, events)
        positions = await self.inner.append(events)
        await self.plan.after_append(self, events)
        return positions

    @override
    async def prove(self, command_ids: Collection[UUID] = ()) -> Mapping[UUID, Sequence[RecordedEvent]]:
        await self.plan.before_proof(self)
        found = await self.inner.prove(command_ids)
        await self.plan.after_proof(self)
        return found

    @override
    async def close(self) -> None:
        await self.inner.close()


class FaultyStore:
    """A store whose sessions follow a plan; everything else is the real thing.

    Args:
        session: wraps each session.

    Attributes:
        takeovers: how many it was asked for.
    """

    def __init__(self, inner: EventStore, session: Callable[[WriteSession], WriteSession]) -> None:
        self._inner = inner
        self._session = session
        self.takeovers = 0

    @property
    def info(self) -> StoreInfo:
        return self._inner.info

    async def take_over(
        self, silo: str, partitions: Collection[int], generation: int, *, reclaim: WriteSession | None = None
    ) -> WriteSession:
        self.takeovers += 1
        real = reclaim.inner if isinstance(reclaim, FaultySession) else reclaim
        return self._session(await self._inner.take_over(silo, partitions, generation, reclaim=real))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def planned(plan: Plan) -> Callable[[EventStore], EventStore]:
    """Makes a store one that follows `plan`."""
    return lambda store: cast(EventStore, FaultyStore(store, lambda session: FaultySession(session, plan)))
