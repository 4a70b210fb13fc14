"""What every event store must do. Each adapter inherits this class and gives it a store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from actors.store.event_store import (
    CommandIdTaken,
    Deposed,
    EventStore,
    History,
    NewEvent,
    RecordedEvent,
    Snapshot,
    StoreUnavailable,
    Superseded,
    Unstorable,
    VersionTaken,
    WriteSession,
    furthest,
    partition_of,
)
from actors.store.log_scan import LogScan, Order

PARTITIONS = 4
BEGINNING = dict.fromkeys(range(PARTITIONS), 0)


def new(
    stream: str = "account-ada",
    version: int = 1,
    *,
    command_id: UUID | None = None,
    ordinal: int = 0,
    type_: str = "Deposited",
    data: str = '{"a": 1}',
) -> NewEvent:
    return NewEvent(
        partition=partition_of(stream, PARTITIONS),
        stream=stream,
        version=version,
        type=type_,
        data=data,
        metadata='{"by": "test"}',
        command_id=command_id or uuid4(),
        ordinal=ordinal,
        command=None if ordinal else '{"deposit":{"amount":1}}',
    )


def history(stream: str, length: int) -> list[NewEvent]:
    return [new(stream, version) for version in range(1, length + 1)]


def snapshot(events: Sequence[NewEvent], *, schema: str = "1", state: str = '{"a": 1}') -> Snapshot:
    """Of a stream that begins with these events, at the version of the last."""
    last = events[-1]
    return Snapshot(last.stream, last.version, schema, state, tuple(event.command_id for event in events[-3:]))


TWICE = {"account-ada": UUID(int=2), "account-bob": UUID(int=1)}

Scan = Callable[[], AbstractAsyncContextManager[LogScan]]


def _place(event: RecordedEvent) -> object:
    return (event.partition, event.position)


def _version(event: RecordedEvent) -> object:
    return (event.stream, event.version)


def _command(event: RecordedEvent) -> object:
    return (event.command_id, event.ordinal)


async def own_all(store: EventStore, silo: str = "silo/0") -> WriteSession:
    return await store.take_over(silo, range(PARTITIONS), 0)


def _outline(history: History) -> tuple[int | None, list[int]]:
    """The version of the snapshot, and those of the events behind it."""
    version = history.snapshot.version if history.snapshot else None
    return version, [event.version for event in history.events]


async def whole_log(store: EventStore) -> Sequence[str]:
    events = await store.read_partitions(dict.fromkeys(range(PARTITIONS), 0), limit=10_000)
    return [f"{event.stream}@{event.version}" for event in events]


class EventStoreContract:
    """Inherit and give a `store` fixture of `PARTITIONS` partitions, and a `scan` fixture that scans that store."""

    async def test_appended_event_is_read_back_as_it_was_written(self, store: EventStore) -> None:
        session = await own_all(store)
        event = new(data='{"name": "Zoë 💿", "n": null}')

        (position,) = await session.append([event])

        (recorded,) = await store.read_stream("account-ada")
        assert (recorded.category, recorded.key, recorded.version, recorded.type) == ("account", "ada", 1, "Deposited")
        assert (recorded.partition, recorded.position) == (event.partition, position)
        assert recorded.data == event.data
        assert recorded.metadata == event.metadata
        assert (recorded.command_id, recorded.ordinal, recorded.command) == (event.command_id, 0, event.command)
        assert recorded.epoch == session.epochs[event.partition]
        assert datetime.now(UTC) - recorded.recorded_at < timedelta(minutes=1)

    async def test_positions_count_from_one_without_a_gap_in_each_partition(self, store: EventStore) -> None:
        session = await own_all(store)
        for _ in range(3):
            await session.append([new(f"account-{uuid4()}") for _ in range(10)])

        for partition, head in session.heads.items():
            events = await store.read_partitions({partition: 0}, limit=100)
            assert [event.position for event in events] == list(range(1, head + 1))
        assert sum(session.heads.values()) == 30
        assert await store.heads() == session.heads

    async def test_stream_that_does_not_exist_is_empty(self, store: EventStore) -> None:
        assert list(await store.read_stream("account-nobody")) == []

    async def test_stream_is_read_from_a_version_on_and_up_to_a_limit(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append(history("account-ada", 5))

        events = await store.read_stream("account-ada", after_version=1, limit=3)

        assert [event.version for event in events] == [2, 3, 4]

    async def test_command_is_found_with_what_it_led_to(self, store: EventStore) -> None:
        session = await own_all(store)
        first, command_id = new(), uuid4()
        second = [new(version=2, command_id=command_id), new(version=3, command_id=command_id, ordinal=1)]
        await session.append([first, *second, new("account-bob")])

        assert [event.version for event in await store.read_command(command_id)] == [2, 3]
        assert list(await store.read_command(uuid4())) == []

    async def test_many_histories_are_read_at_once_and_missing_ones_are_left_out(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append([*history("account-ada", 2), *history("account-bob", 1), *history("account-cleo", 1)])

        histories = await store.read_histories(dict.fromkeys(["account-ada", "account-bob", "account-nobody"], "1"))

        assert {stream: _outline(each) for stream, each in histories.items()} == {
            "account-ada": (None, [1, 2]),
            "account-bob": (None, [1]),
        }
        assert histories["account-ada"].events == await store.read_stream("account-ada")

    async def test_history_begins_at_the_snapshot(self, store: EventStore) -> None:
        session = await own_all(store)
        events = {stream: history(stream, 5) for stream in ("account-ada", "account-bob")}
        await session.append([*events["account-ada"], *events["account-bob"]])
        ada = snapshot(events["account-ada"][:3], state='{"z": 1,  "a": "Zoë 💿"}')
        bob = snapshot(events["account-bob"])
        await store.write_snapshots([bob, ada])

        histories = await store.read_histories({"account-ada": "1", "account-bob": "1"})

        assert {stream: _outline(each) for stream, each in histories.items()} == {
            "account-ada": (3, [4, 5]),
            "account-bob": (5, []),
        }
        assert [histories[each.stream].snapshot for each in (ada, bob)] == [ada, bob]

    async def test_snapshot_of_another_schema_is_passed_over(self, store: EventStore) -> None:
        session = await own_all(store)
        events = history("account-ada", 2)
        await session.append(events)
        await store.write_snapshots([snapshot(events)])

        assert _outline((await store.read_histories({"account-ada": "2"}))["account-ada"]) == (None, [1, 2])
        assert _outline((await store.read_histories({"account-ada": "1"}))["account-ada"]) == (2, [])

    @pytest.mark.parametrize("length", [2, 3, 4])
    async def test_snapshot_that_the_log_does_not_bear_out_is_passed_over(self, store: EventStore, length: int) -> None:
        """As after a restore of the log alone, whether or not it has grown again."""
        session = await own_all(store)
        await session.append(history("account-ada", 3))
        await store.write_snapshots([snapshot(history("account-ada", length))])

        assert _outline((await store.read_histories({"account-ada": "1"}))["account-ada"]) == (None, [1, 2, 3])

    async def test_snapshot_takes_the_place_of_an_older_one_and_of_another_schema_but_not_of_a_newer_one(
        self, store: EventStore
    ) -> None:
        session = await own_all(store)
        events = history("account-ada", 5)
        await session.append(events)

        async def seen_after(version: int, schema: str) -> int | None:
            await store.write_snapshots([snapshot(events[:version], schema=schema)])
            return _outline((await store.read_histories({"account-ada": schema}))["account-ada"])[0]

        assert [await seen_after(version, "1") for version in (2, 4, 3)] == [2, 4, 4]
        assert await seen_after(4, "2") == 4
        assert await seen_after(3, "1") is None

    async def test_no_snapshots_are_written_without_harm(self, store: EventStore) -> None:
        await store.write_snapshots([])

        assert await store.read_histories({}) == {}

    async def test_one_who_follows_gets_the_content_of_some_events_and_the_end_of_all(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append(
            [new("account-ada", data='{"n": "ö"}'), new("account-ada", 2, type_="Opened"), new("order-1")]
        )
        everything = await store.read_partitions(BEGINNING, limit=10)

        stretch = await store.follow(BEGINNING, limit=10, categories=["account"])
        deposits = await store.follow(BEGINNING, limit=10, categories=["account"], types=["Deposited"])

        assert [(event.stream, event.type, event.data) for event in stretch.events] == [
            ("account-ada", "Deposited", '{"n": "ö"}'),
            ("account-ada", "Opened", '{"a": 1}'),
        ]
        assert list(deposits.events) == list(stretch.events[:1])
        for each in (stretch, deposits):
            assert each.ends == furthest(*(event.marks for event in everything))
            assert each.lengths == Counter(event.partition for event in everything)

    async def test_one_who_follows_gets_a_long_stretch_whole_and_no_further_than_asked(
        self, store: EventStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("actors.store.postgres.PIECE", 3)
        session = await own_all(store)
        await session.append(history("account-ada", 11))
        partition = partition_of("account-ada", PARTITIONS)

        stretch = await store.follow({partition: 1}, limit=8, categories=["account"])

        assert [event.position for event in stretch.events] == list(range(2, 10))
        assert (stretch.ends[partition].position, stretch.lengths) == (9, {partition: 8})
        assert not (await store.follow({partition: 11}, limit=8, categories=["account"])).ends

    async def test_partitions_are_read_in_order_with_a_limit_for_each(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append([new(f"account-{number}") for number in range(40)])

        events = await store.read_partitions({0: 1, 1: 2}, limit=3)

        assert [(event.partition, event.position) for event in events] == [
            (0, 2),
            (0, 3),
            (0, 4),
            (1, 3),
            (1, 4),
            (1, 5),
        ]

    async def test_version_that_is_taken_refuses_the_whole_batch(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append([new()])

        with pytest.raises(VersionTaken):
            await session.append([new("account-bob"), new("account-ada", 1)])

        assert await whole_log(store) == ["account-ada@1"]

    async def test_command_id_that_is_taken_refuses_the_whole_batch(self, store: EventStore) -> None:
        session = await own_all(store)
        command_id = uuid4()
        await session.append([new(command_id=command_id)])

        with pytest.raises(CommandIdTaken):
            await session.append([new("account-bob"), new("account-cleo", command_id=command_id)])

        assert await whole_log(store) == ["account-ada@1"]

    async def test_content_that_cannot_be_stored_refuses_the_whole_batch(self, store: EventStore) -> None:
        session = await own_all(store)

        with pytest.raises(Unstorable):
            await session.append([new("account-bob"), new(data='{"name":')])

        assert await whole_log(store) == []

    async def test_content_cannot_pass_for_that_of_two_events(self, store: EventStore) -> None:
        session = await own_all(store)

        with pytest.raises(Unstorable):
            await session.append([new("account-bob", data="{}\x1e{}"), new()])

        await session.append([new()])
        assert await whole_log(store) == ["account-ada@1"]

    async def test_session_goes_on_after_a_refusal(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append([new()])
        for refused in (new(), new("account-bob", data="no json")):
            with pytest.raises((VersionTaken, Unstorable)):
                await session.append([refused])

        await session.append([new("account-ada", 2)])

        assert await whole_log(store) == ["account-ada@1", "account-ada@2"]

    async def test_closed_session_writes_and_proves_nothing(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.close()

        with pytest.raises(StoreUnavailable):
            await session.append([new()])
        with pytest.raises(StoreUnavailable):
            await session.prove()

        assert await whole_log(store) == []

    async def test_refused_batch_takes_no_positions(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append([new()])
        with pytest.raises(VersionTaken):
            await session.append([new("account-ada", 1)])
        with pytest.raises(Unstorable):
            await session.append([new("account-ada", 2, data="no json")])

        assert await session.append([new("account-ada", 2)]) == [2]
        assert await store.heads() == session.heads

    async def test_events_of_a_command_are_found_by_its_id(self, store: EventStore) -> None:
        session = await own_all(store)
        command_id = uuid4()
        await session.append([new(version=v, command_id=command_id, ordinal=v - 1) for v in (1, 2)])

        found = await session.prove([uuid4(), command_id])

        assert {each: [event.version for event in events] for each, events in found.items()} == {command_id: [1, 2]}
        assert [event.command for event in found[command_id]] == ['{"deposit":{"amount":1}}', None]

    async def test_each_take_over_raises_the_epoch(self, store: EventStore) -> None:
        first = await own_all(store)
        second = await own_all(store)

        assert all(second.epochs[partition] > epoch for partition, epoch in first.epochs.items())

    async def test_session_knows_whether_somebody_was_put_out_for_it(self, store: EventStore) -> None:
        first = await store.take_over("silo/0", [0, 1], 0)
        beside = await store.take_over("silo/1", [2, 3], 0)
        second = await store.take_over("silo/0 again", [0, 1], 0)
        await second.close()
        third = await store.take_over("silo/0 again", [0, 1], 0, reclaim=second)

        assert [each.put_out for each in (first, beside, second, third)] == [False, False, True, False]

    async def test_silo_of_an_older_service_takes_nothing_over(self, store: EventStore) -> None:
        older = await store.begin_service("the older one")
        former = await store.take_over("silo/0", range(PARTITIONS), older)
        newer = await store.begin_service("the newer one")

        for broken in (None, former):
            with pytest.raises(Superseded) as told:
                await store.take_over("silo/0", range(PARTITIONS), older, reclaim=broken)
            assert told.value.service == "the newer one"
            assert datetime.now(UTC) - told.value.since < timedelta(minutes=1)
        assert await former.prove() == {}

        session = await store.take_over("silo/0", range(PARTITIONS), newer)
        assert session.put_out
        with pytest.raises(Superseded):
            await store.take_over("silo/0", range(PARTITIONS), older)
        assert await session.prove() == {}

    async def test_silo_of_the_newest_service_puts_its_former_copy_out(self, store: EventStore) -> None:
        await store.begin_service("the older one")
        newest = await store.begin_service("the newest one")
        await store.take_over("silo/0", range(PARTITIONS), newest)

        session = await store.take_over("silo/0 again", range(PARTITIONS), newest)

        assert session.put_out
        assert await session.prove() == {}

    async def test_service_learns_that_a_newer_one_was_begun(self, store: EventStore) -> None:
        await store.refuse_older(0)
        older = await store.begin_service("the older one")
        await store.refuse_older(older)
        newer = await store.begin_service("the newer one")

        await store.refuse_older(newer)
        for each in (0, older):
            with pytest.raises(Superseded, match="the newer one"):
                await store.refuse_older(each)

    async def test_session_knows_the_epoch_of_the_last_event_whoever_wrote_it(self, store: EventStore) -> None:
        first = await own_all(store)
        await first.append([new("account-ada"), new("account-zoe")])
        second = await own_all(store)
        await second.append([new("account-ada", 2)])

        heads = await store.marks(second.heads)

        assert {partition: mark.epoch for partition, mark in heads.items()} == {
            partition: epoch for partition, epoch in second.head_epochs.items() if epoch
        }
        assert heads[new("account-ada").partition].epoch == second.epochs[0]
        assert heads[new("account-zoe").partition].epoch == first.epochs[0]

    async def test_position_without_an_event_has_no_mark(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append([new()])
        partition = new().partition

        assert await store.marks({partition: 0}) == {}
        assert await store.marks({partition: 2, 999: 1}) == {}

    async def test_new_owner_goes_on_where_the_log_is(self, store: EventStore) -> None:
        await (await own_all(store)).append(history("account-ada", 3))

        session = await own_all(store)
        await session.append([new("account-ada", 4)])

        assert len(await whole_log(store)) == 4

    async def test_broken_session_is_reclaimed_when_nobody_came_between(self, store: EventStore) -> None:
        broken = await own_all(store)
        await broken.append([new()])
        await broken.close()

        session = await store.take_over("silo/0", range(PARTITIONS), 0, reclaim=broken)

        await session.append([new("account-ada", 2)])
        assert all(session.epochs[partition] > epoch for partition, epoch in broken.epochs.items())

    async def test_broken_session_is_not_reclaimed_from_a_new_owner(self, store: EventStore) -> None:
        broken = await own_all(store)
        owner = await store.take_over("silo/0 again", [1], 0)

        with pytest.raises(Deposed):
            await store.take_over("silo/0", range(PARTITIONS), 0, reclaim=broken)

        assert await owner.prove() == {}

    async def test_sessions_of_different_partitions_do_not_meet(self, store: EventStore) -> None:
        even = await store.take_over("silo/0", [0, 2], 0)
        odd = await store.take_over("silo/1", [1, 3], 0)

        assert await even.prove() == {}
        assert await odd.prove() == {}

    @pytest.mark.parametrize(
        ("order", "first"), [(Order.POSITION, _place), (Order.STREAM, _version), (Order.COMMAND, _command)]
    )
    async def test_whole_log_is_scanned_in_an_order(
        self, store: EventStore, scan: Scan, order: Order, first: Callable[[RecordedEvent], object]
    ) -> None:
        session = await own_all(store)
        for stream in ("account-ada", "account-bob"):
            await session.append(history(stream, 3))
            await session.append([new(stream, 3 + n, command_id=TWICE[stream], ordinal=n - 1) for n in (1, 2)])

        async with scan() as log:
            await session.append([new("account-cleo")])
            events = [event async for event in log.events(order)]

        written = await store.read_partitions(dict.fromkeys(range(PARTITIONS), 0), limit=100)
        expected = [event for event in written if event.key != "cleo"]
        assert (log.partitions, log.length, log.epochs) == (PARTITIONS, 10, session.epochs)
        assert [first(event) for event in events] == sorted(first(event) for event in expected)  # type: ignore[type-var]
        if order is not Order.COMMAND:
            assert sorted(events) == sorted(expected)

    async def test_connecting_anew_disturbs_no_reader(self, store: EventStore) -> None:
        session = await own_all(store)
        await session.append(history("account-ada", 3))

        pages = [asyncio.create_task(store.read_stream("account-ada")) for _ in range(8)]
        await store.connect_anew()
        pages += [asyncio.create_task(store.read_stream("account-ada"))]

        assert [len(page) for page in await asyncio.gather(*pages)] == [3] * 9

    async def test_reader_beside_a_writer_never_sees_a_gap(self, store: EventStore) -> None:
        session = await own_all(store)

        async def write() -> None:
            for _ in range(20):
                await session.append([new(f"account-{uuid4()}") for _ in range(20)])

        writing = asyncio.create_task(write())
        seen: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        while sum(seen.values()) < 400:
            for event in await store.read_partitions(seen, limit=50):
                assert event.position == seen[event.partition] + 1
                seen[event.partition] = event.position
            await asyncio.wait([writing], timeout=0)
        await writing
