"""The law of the read side: whatever was done, the tables are what a replay of the log gives."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.domain.customer import CUSTOMER
from actors.domain.decider import AnyDecider
from actors.domain.order import ORDER
from actors.runtime.wire import decode_outcomes, encode
from actors.store.event_store import EventStore
from actors.store.memory import MemoryEventStore
from gateway.queries.log_reader import LogReader
from projections.customers import CUSTOMERS, count_customers
from projections.orders import ORDERS
from projections.past import Past, row_then
from projections.projection import AnyProjection, projections_of
from projections.read_store import ReadStore
from projections.runner import ProjectionRunner
from projections.sales import sales_by
from projections.standard import STANDARD
from projections.view_reader import ViewReader
from tests.in_process import command, running_silos

_keys = st.sampled_from(["a", "b", "c"])
_names = st.sampled_from(["Ada", "Bob Smith", "Zoë"])
_emails = st.sampled_from(["ada@example.com", "bob@example.com"])
_line = st.fixed_dictionaries(
    {"sku": st.sampled_from(["x", "y"]), "quantity": st.integers(1, 3), "unit_price": st.sampled_from([5, 7])}
)
_bodies = {
    "register": st.fixed_dictionaries({"name": _names, "email": _emails, "credit_limit": st.sampled_from([None, 5])}),
    "rename": st.fixed_dictionaries({"name": _names}),
    "change-email": st.fixed_dictionaries({"email": _emails}),
    "change-credit-limit": st.fixed_dictionaries({"credit_limit": st.sampled_from([None, 5, 6])}),
    "deactivate": st.just({"reason": "r"}),
    "reactivate": st.just({}),
    "create": st.fixed_dictionaries(
        {
            "customer_id": _keys,
            "currency": st.sampled_from(["USD", "EUR"]),
            "ordered_at": st.sampled_from(["1997-01-31T23:00:00Z", "1997-02-01T01:00:00Z"]),
        }
    ),
    "add-line": _line,
    "remove-line": st.fixed_dictionaries({"sku": st.sampled_from(["x", "y"])}),
    "place": st.just({}),
    "cancel": st.just({"reason": "r"}),
    "ship": st.just({}),
}


def _commands(decider: AnyDecider) -> st.SearchStrategy[tuple[str, str, str, str]]:
    return st.sampled_from(sorted(decider.command_types)).flatmap(
        lambda name: st.tuples(st.just(decider.category), _keys, st.just(name), _bodies[name].map(json.dumps))
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(_commands(CUSTOMER), _commands(ORDER)), min_size=1, max_size=60))
def test_tables_are_what_a_replay_gives(
    new_database: Callable[[], str], history: list[tuple[str, str, str, str]]
) -> None:
    asyncio.run(_check(new_database(), history))


async def _check(views_url: str, history: list[tuple[str, str, str, str]]) -> None:
    store = MemoryEventStore(partitions=4)
    async with running_silos(store, STANDARD.deciders) as (silo,):
        batch = [command(name, data, key=key, category=kind) for kind, key, name, data in history]
        decode_outcomes(await silo.execute(encode(batch)))
    reader = ViewReader(views_url, projections_of(STANDARD))
    runners = [asyncio.create_task(_runner(projection, store, views_url).run()) for projection in STANDARD.projections]
    heads = await store.heads()
    for projection in projections_of(STANDARD):
        assert await reader.wait_until(projection, heads, timeout_s=20)
    try:
        await _compare(reader, store)
    finally:
        for runner in runners:
            runner.cancel()
            with suppress(asyncio.CancelledError):
                await runner
        await reader.close()


def _runner(projection: Any, store: EventStore, views_url: str) -> ProjectionRunner:
    async def open_log() -> EventStore:
        return store

    async def never(_: Mapping[int, int]) -> None:
        await asyncio.get_running_loop().create_future()

    return ProjectionRunner(projection, open_log, lambda: ReadStore.open(views_url), never)


async def _compare(reader: ViewReader, store: MemoryEventStore) -> None:
    statuses: Counter[str] = Counter()
    sales: Counter[tuple[str, str]] = Counter()
    for key in "abc":
        customer = await _replay(store, CUSTOMER, key)
        row = (await reader.get(CUSTOMERS, key)).value
        assert row == await _row_of_log(store, CUSTOMERS, key)
        assert (row is not None) == customer.registered
        if row is not None:
            status = "active" if customer.active else "inactive"
            statuses[status] += 1
            shown = (row.name, row.email, row.credit_limit, row.status)
            assert shown == (customer.name, customer.email, customer.credit_limit, status)
        order = await _replay(store, ORDER, key)
        order_row = (await reader.get(ORDERS, key)).value
        assert order_row == await _row_of_log(store, ORDERS, key)
        assert (order_row is not None) == (order.status.value != "new")
        if order_row is not None:
            lines = {line.sku: (line.quantity, line.unit_price) for line in order_row.lines}
            assert lines == {sku: (line.quantity, line.unit_price) for sku, line in order.lines.items()}
            assert (order_row.status, order_row.total) == (order.status.value, order.total)
            if order.status.value in {"placed", "shipped"}:
                sales[f"{order_row.ordered_at:%Y-%m}", order_row.currency] += order.total
    assert (await count_customers(reader)).value == {each: statuses[each] for each in ("active", "inactive")}
    found = (await sales_by(reader, "month", first=None, last=None)).value
    assert {(each.period, each.currency): each.total for each in found} == dict(sales)


async def _row_of_log(store: MemoryEventStore, projection: AnyProjection, key: str) -> Any:
    """The row as of now, folded from the log as queries on the past are."""

    async def open_log() -> EventStore:
        return store

    history = LogReader(open_log).history(f"{projection.sources[0].category}-{key}")
    return (await row_then(projection, history, Past(moment=datetime.now(UTC)))).row


async def _replay(store: MemoryEventStore, decider: AnyDecider, key: str) -> Any:
    events = await store.read_stream(f"{decider.category}-{key}")
    return decider.fold([decider.event_types[event.type].model_validate_json(event.data) for event in events])
