"""Where actors live: a silo owns some partitions, holds their activations and runs their turns.

    execute ──► mailboxes ──► turn ──► journal ──► answer

The state of an activation moves on with its turn, before the log has it. So when a commit fails, every
activation with unsettled commands is dropped, and the log is asked what became of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from secrets import randbits, token_hex
from typing import NoReturn

from actors.domain.decider import AnyDecider
from actors.process import Pulse
from actors.runtime.activation import Activations
from actors.runtime.delivery import Batch, Delivery
from actors.runtime.home import Nowhere
from actors.runtime.inquiry import Inquiry
from actors.runtime.journal import Journal
from actors.runtime.mailboxes import Mailboxes
from actors.runtime.ownership import Ownership
from actors.runtime.placement import OwnHomes, Placement
from actors.runtime.sleep import Sleep
from actors.runtime.snapshots import Snapshots
from actors.runtime.wire import Failed, Full, Later, Layout, NotNow, SiloStatus, decode_commands, encode
from actors.store.event_store import (
    CommandIdTaken,
    EventStore,
    StoreError,
    StoreUnavailable,
    Superseded,
    Unstorable,
    WriteSession,
)
from actors.store.traced_session import traced

log = logging.getLogger(__name__)

# So long the slowest command of a batch may hold up the outcomes of the others.
PROMPT_S = 0.25


@dataclass(frozen=True, slots=True)
class SiloLimits:
    """How much a silo holds at once, and for how long.

    Attributes:
        commands, command_bytes: how many may be unanswered, and hold; more are refused as `Full`.
        activations: actors in memory; the longest unused goes to sleep.
        memory: bytes that the process may hold before fewer actors stay in memory.
        idle_s: how long an actor stays in memory that nobody needs.
        snapshot_every: events of an actor from one snapshot to the next.
        snapshot_on_sleep: events since the last snapshot that are worth one when the actor goes to sleep.
    """

    commands: int = 20_000
    command_bytes: int = 256 * 1024**2
    activations: int = 200_000
    memory: int = 1024**3
    idle_s: float = 600.0
    snapshot_every: int = 200
    snapshot_on_sleep: int = 20


class Silo:
    """One silo. `run` makes it work, `execute` is what clients call.

    Args:
        index, silos: this is silo `index` of `silos`; it owns the partitions p with p mod silos = index.
        deciders: the kinds of actors it can hold.
        open_store: connects to the log.
        generation: of its service; see `EventStore.begin_service`.
        own_homes: of its actors; None = all live in its memory.
        cause: why its process was started, for people.
        now: Unix time in seconds, for deadlines.
    """

    def __init__(
        self,
        index: int,
        silos: int,
        deciders: Sequence[AnyDecider],
        open_store: Callable[[], Awaitable[EventStore]],
        generation: int,
        *,
        limits: SiloLimits | None = None,
        own_homes: OwnHomes | None = None,
        cause: str = "its process started",
        now: Callable[[], float] = time.time,
    ) -> None:
        limits = limits or SiloLimits()
        self.name = f"silo/{index}"
        # Two copies of one silo have one name; what they write must tell them apart.
        self.writer = f"{self.name}#{token_hex(4)}"
        self.pulse = Pulse()
        self._silos = silos
        self._most_commands = limits.commands
        self._most_bytes = limits.command_bytes
        self._now = now
        self._started_at = now()
        self._ownership = Ownership(
            self.writer,
            lambda partitions: range(index, partitions, silos),
            open_store,
            generation,
            self.pulse,
            cause,
            now,
        )
        self._snapshots = Snapshots(self.name, limits.snapshot_every, limits.snapshot_on_sleep)
        self._journal = Journal(self._announce, self.pulse, self._snapshots.keep)
        activations: Activations[Delivery] = Activations(limits.activations, now, self._snapshots.asleep)
        self._sleep = Sleep(self.name, activations, limits.idle_s, limits.memory, now)
        by_category = {decider.category: decider for decider in deciders}
        self._own_homes = own_homes or OwnHomes(Placement.SHARED, Nowhere(), 0)
        self._mailboxes = Mailboxes(
            self.writer,
            by_category,
            self._ownership,
            self._journal,
            activations,
            self._snapshots,
            self._own_homes,
            now,
        )
        self._inquiry = Inquiry()
        # Another silo of this name, before or after, has given out others.
        self._tickets = count(randbits(62))
        self._late: dict[int, Batch] = {}
        self._queued = 0
        self._queued_bytes = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._moved = asyncio.Event()
        self._draining = False

    async def run(self) -> None:
        """Own the partitions and commit, through every loss of the database, until cancelled.

        While a newer service has the log, it owns nothing and turns all commands away.

        Raises:
            StoreError: somebody else owns a partition, or the log is further than this silo believes.
            Exception: something happened that nobody foresaw. In either case it can answer nothing more, and its
                process must end.
        """
        try:
            session = await self._ownership.acquire()
        except Superseded as newer:
            await self._stand_aside(newer)
        endless = (self._commit(session), self._mailboxes.run(), self._snapshots.run(self._store), self._sleep.run())
        work = [asyncio.get_running_loop().create_task(each) for each in endless]
        try:
            await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()

    async def execute(self, blob: bytes, within_s: float | None = None) -> bytes:
        """A batch of commands there, their outcomes back in the same order; see `wire`.

        Args:
            within_s: how long the slowest command may hold up the outcomes of the others; then `Later` stands for
                its own, and `rest` has it. None = for ever.
        """
        batch = Batch(decode_commands(blob))
        arrived = len(batch.deliveries)
        if self._queued + arrived > self._most_commands or self._queued_bytes + len(blob) > self._most_bytes:
            return encode([Full()] * arrived)
        self._count(arrived, len(blob))
        batch.complete.add_done_callback(lambda _: self._count(-arrived, -len(blob)))
        self._deliver(batch.deliveries)
        return await self._tell(batch, Later(next(self._tickets)), within_s)

    async def rest(self, ticket: int, within_s: float | None = None) -> bytes:
        """The outcomes of a batch that were not there before, as `execute`; nothing when the ticket is no good."""
        batch = self._late.pop(ticket, None)
        return encode([]) if batch is None else await self._tell(batch, Later(ticket), within_s)

    async def wait_beyond(self, positions: Mapping[int, int], timeout_s: float) -> Mapping[int, int]:
        """Wait until a partition of this silo is further than `positions`, at most `timeout_s` seconds.

        Returns:
            Partition → position of its last event; empty while the silo owns nothing.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not any(head > positions.get(partition, 0) for partition, head in self.heads.items()):
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.heads

    async def drain(self) -> None:
        """Take no more commands, answer those that are here, and give the partitions back."""
        self._draining = True
        await self._quiet.wait()
        await self._own_homes.close()
        if self._ownership.session is not None:
            await self._ownership.session.close()
        if self._ownership.store is not None:
            await self._ownership.store.close()

    @property
    def heads(self) -> Mapping[int, int]:
        """Partition → position of its last event; empty while the silo owns nothing."""
        session = self._ownership.session
        return {} if session is None else dict(session.heads)

    @property
    def layout(self) -> Layout | None:
        """How commands find their silo; None until the store could be opened."""
        store = self._ownership.store
        if store is None:
            return None
        return Layout(store.info.store_id, store.info.secret, store.info.partitions, self._silos)

    @property
    def status(self) -> SiloStatus:
        """What people want to know of a silo."""
        session = self._ownership.session
        return SiloStatus(
            name=self.name,
            epochs={} if session is None else dict(session.epochs),
            activations=len(self._mailboxes),
            own_homes=self._own_homes.addresses,
            queued=self._queued,
            started_at=self._started_at,
            takeover=self._ownership.takeover,
            trouble=self._trouble,
            batches=dict(self._journal.batches),
        )

    @property
    def _trouble(self) -> str | None:
        return "it is being stopped" if self._draining else self._ownership.trouble

    @property
    def _store(self) -> EventStore:
        store = self._ownership.store
        assert store is not None, "a session comes from a store"  # noqa: S101
        return store

    async def _stand_aside(self, newer: Superseded) -> NoReturn:
        # To end would not help: Ray would start it anew, again and again.
        log.warning("leaves the log alone", extra={"silo": self.name, "reason": str(newer)})
        self._ownership.lose(str(newer))
        while True:
            await asyncio.get_running_loop().create_future()

    async def _commit(self, session: WriteSession) -> NoReturn:
        while True:
            log.info("owns its partitions", extra={"silo": self.name, "epochs": dict(session.epochs)})
            try:
                if self._inquiry.open:
                    self._deliver(await self._inquiry.settle(session))
                await self._journal.run(traced(session, self.name))
            except (CommandIdTaken, Unstorable) as refused:
                self._sort_out(refused)
            except StoreUnavailable as trouble:
                session = await self._win_back(session, trouble)

    async def _tell(self, batch: Batch, later: Later, within_s: float | None) -> bytes:
        await asyncio.wait((batch.complete,), timeout=within_s)
        if not batch.complete.done():
            # Nobody asks any more for those that are too late.
            self._late = {each: late for each, late in self._late.items() if late.deadline > self._now()}
            self._late[later.ticket] = batch
        return encode(batch.tell(later))

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        trouble, store = self._trouble, self._ownership.store
        if trouble is not None or store is None:
            _turn_away(deliveries, NotNow(f"{self.name} cannot write: {trouble}"))
        elif self._inquiry.open:
            self._inquiry.queue(deliveries)
        else:
            self._take_turns(store, deliveries)

    def _take_turns(self, store: EventStore, deliveries: Iterable[Delivery]) -> None:
        now = self._now()
        self._mailboxes.deliver(store, [delivery for delivery in deliveries if not delivery.refuse_late(now)])

    def _sort_out(self, refused: StoreError) -> None:
        """The log refused a whole batch, and nothing of it was written: find those that it will take."""
        in_flight, waiting = self._journal.withdraw()
        behind = self._mailboxes.drop([*in_flight, *waiting])
        if isinstance(refused, CommandIdTaken):
            self._inquiry.begin([*in_flight, *waiting], behind)
            return
        if len(in_flight) == 1:
            in_flight.pop().answer(Failed(f"the log cannot store it: {refused}"))
        self._journal.one_by_one(len(in_flight))
        self._deliver([*(entry.delivery for entry in (*in_flight, *waiting)), *behind])

    async def _win_back(self, lost: WriteSession, trouble: StoreUnavailable) -> WriteSession:
        """The connection broke: what was on its way is unknown until the log can be asked."""
        log.warning("lost the log", extra={"silo": self.name, "reason": str(trouble)})
        self._ownership.lose(str(trouble))
        refusal = NotNow(f"{self.name} cannot write: {trouble}")
        self._mailboxes.clear(refusal.reason)
        in_flight, waiting = self._journal.withdraw()
        asked, behind = self._inquiry.withdraw()
        # Their callers try again after a pause. Sent again from here, a command that breaks each connection (who knows
        # why the server refuses it) would take all others along until it is too late for them.
        self._inquiry.begin([*asked, *(entry for entry in in_flight if entry.turn.events)], refusal=refusal)
        unwritten = [*(entry for entry in in_flight if not entry.turn.events), *waiting]
        _turn_away([*(entry.delivery for entry in unwritten), *behind], refusal)
        return await self._ownership.reclaim(self._store, lost, str(trouble))

    def _announce(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _count(self, commands: int, size: int) -> None:
        self._queued += commands
        self._queued_bytes += size
        if self._queued:
            self._quiet.clear()
        else:
            self._quiet.set()


def _turn_away(deliveries: Iterable[Delivery], outcome: NotNow) -> None:
    for delivery in deliveries:
        delivery.answer(outcome)
