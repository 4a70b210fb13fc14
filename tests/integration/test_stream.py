"""The log as server-sent events: complete, in order, for whoever comes back wherever they were (I12, F35, J9)."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from actors.store.event_store import Mark, Marks
from actors.store.memory import MemoryEventStore
from gateway.http import pieces
from gateway.queries import tail
from gateway.queries.frame import Frame
from gateway.routes import stream
from projections.standard import STANDARD
from tests.account_domain import BANK
from tests.integration.running_views import Log
from tests.integration.service import Service, running_service
from tests.sse import Subscriber, messages

ALICE = {"name": "Alice", "email": "alice@example.com"}
SUBSCRIBERS = 20
EVENTS = 300


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


async def register(service: Service, *keys: str) -> None:
    lines = [f'{{"actor": "customer", "id": "{key}", "command": "register", "data": {_body()}}}' for key in keys]
    reply = await service.http.post(
        "/v1/commands", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
    )
    assert '"status": 4' not in reply.text


async def test_s1_event_is_sent_as_the_contract_says(service: Service) -> None:
    await service.http.post("/v1/customers/alice/register", json=ALICE, headers={"Request-Id": "r-1"})

    async with service.http.stream("GET", "/v1/events?from=start") as response:
        message = await anext(messages(response))

    (shown,) = (await service.http.get("/v1/customers/alice/history")).json()["items"]
    assert message.event == "CustomerRegistered"
    assert message.data == {**shown, "actor": "customer", "actor_id": "alice"}
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Request-Id"]


async def test_description_names_what_a_follower_sends_and_none_of_the_fields_of_a_query(service: Service) -> None:
    described = (await service.http.get("/openapi.json")).json()["paths"]["/v1/events"]["get"]

    sent = {each["name"] for each in described["parameters"] if each["in"] == "header"}
    carried = described["responses"]["200"]["headers"]

    assert sent == {"Last-Event-ID"}
    assert "Last-Event-ID" in carried
    assert not carried.keys() & {"ETag", "Consistency-Token"}


async def test_who_begins_now_sees_what_is_written_from_now_on(service: Service) -> None:
    await register(service, "before")

    async with service.http.stream("GET", "/v1/events?from=now") as response:
        await register(service, "after")
        message = await anext(messages(response))

    assert message.data["actor_id"] == "after"


async def test_tail_keeps_the_latest_events_as_far_as_their_bytes_go(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "KEPT_BYTES", 10_000)
    async with service.http.stream("GET", "/v1/events?from=now") as response:
        await register(service, *(f"c{number}" for number in range(50)))
        followed = messages(response)
        sent = {(await anext(followed)).data["actor_id"] for _ in range(50)}

    kept: list[tuple[Frame, bytes]] = []
    while (more := service.tail.since(service.tail.end - len(kept) - 1, 50)) is not None:
        kept = list(more)

    assert len(kept) > 1
    assert sum(len(frame.lines) + len(text) for frame, text in kept) <= 10_000
    assert len(sent) == 50


@pytest.mark.parametrize(("limit", "kept"), [("KEPT_FRAMES", 3), ("KEPT_BYTES", 3_000), ("KEPT_BYTES", 1)])
async def test_follower_that_is_slower_than_the_tail_misses_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, limit: str, kept: int
) -> None:
    monkeypatch.setattr(tail, limit, kept)
    subscriber = Subscriber(service.http)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(subscriber.follow(200))
        for start in range(0, 200, 50):
            await register(service, *(f"c{number}" for number in range(start, start + 50)))

    assert subscriber.positions == await service.store.heads()


async def test_follower_whose_tail_ended_before_he_was_counted_misses_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log takes so long to say where he begins."""
    right = stream._beginning

    async def slow(*arguments: object) -> Marks:
        if service.tail.generation == 0:
            await service.tail.moves(timeout_s=60)
        return await right(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stream, "_beginning", slow)
    monkeypatch.setattr(tail, "LINGER_S", 0.0)
    async with service.http.stream("GET", "/v1/events?from=now") as first:
        await register(service, "one")
        async with service.http.stream("GET", "/v1/events?from=now"):
            await register(service, "two")
            message = await anext(messages(first))

    assert message.data["actor_id"] == "one"


async def test_s1_who_loses_the_connection_before_the_first_event_can_go_on_where_he_began(service: Service) -> None:
    await register(service, "before")
    async with service.http.stream("GET", "/v1/events?from=now") as response:
        began = response.headers["Last-Event-ID"]
    await register(service, "between")

    async with service.http.stream("GET", "/v1/events", headers={"Last-Event-ID": began}) as response:
        message = await anext(messages(response))

    assert message.data["actor_id"] == "between"


async def test_only_events_of_the_type_that_is_wanted_are_sent(service: Service) -> None:
    await register(service, "a", "b", "c")
    await service.http.post("/v1/customers/b/rename", json={"name": "Bea"})

    async with service.http.stream("GET", "/v1/events?from=start&type=CustomerRenamed") as response:
        followed = messages(response)
        first = await anext(followed)
        await service.http.post("/v1/customers/c/rename", json={"name": "Cy"})
        second = await anext(followed)

    assert [message.data["actor_id"] for message in (first, second)] == ["b", "c"]


async def test_events_of_earlier_and_of_later_releases_are_sent_as_they_are_stored(
    views_url: str, tmp_path: Path
) -> None:
    log = Log()
    early, late = ("ada", "AccountOpened", '{"name": "Ada"}'), ("ada", "Frozen", '{"by": "Eve"}')
    await log.write(early, late, ("ada", "Deposited", '{"amount": 1}'), ("ada", "Deposited", '{"amount": 2}'))
    async with running_service(BANK, views_url, tmp_path, log.store) as service:
        async with service.http.stream("GET", "/v1/events?from=start") as response:
            followed = messages(response)
            sent = [(await anext(followed)).event for _ in range(2)]
        async with service.http.stream("GET", "/v1/events?from=start&type=AccountOpened") as response:
            assert response.status_code == 200
            chosen = await anext(messages(response))

    assert sent == ["AccountOpened", "Frozen"]
    assert chosen.data["data"] == {"name": "Ada"}


async def test_what_operators_do_is_not_sent(service: Service) -> None:
    await service.http.post("/v1/admin/projections/customers/pause")
    await service.http.post("/v1/admin/projections/customers/resume")
    await register(service, "alice")

    async with service.http.stream("GET", "/v1/events?from=start") as response:
        message = await anext(messages(response))

    assert (await service.http.get("/v1/admin/operations")).json()["items"]
    assert message.data["actor"] == "customer"


async def test_subscribers_that_come_and_go_at_random_see_every_event_once(service: Service) -> None:
    subscribers = await _follow_at_random(service)

    heads = {partition: head for partition, head in (await service.store.heads()).items() if head}
    assert [subscriber.positions for subscriber in subscribers] == [heads] * SUBSCRIBERS


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_check_finds_a_resume_that_is_off_by_one(
    service: Service, monkeypatch: pytest.MonkeyPatch, off_by: int
) -> None:
    right = stream._beginning

    async def wrong(*arguments: object) -> Marks:
        after = await right(*arguments)  # type: ignore[arg-type]
        return {each: Mark(position and position + off_by, epoch) for each, (position, epoch) in after.items()}

    monkeypatch.setattr(stream, "_beginning", wrong)
    await register(service, *(f"c{number}" for number in range(20)))
    subscriber = Subscriber(service.http)
    await subscriber.follow(2)

    with pytest.raises(AssertionError, match="came instead of"):
        await subscriber.follow(2)


async def test_s1_quiet_stream_has_a_heartbeat(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    async with service.http.stream("GET", "/v1/events") as response:
        lines = response.aiter_lines()
        beats = 0
        while beats < 3:
            beats += (await anext(lines)) == ":"


async def test_s1_subject_follows_so_many_times_and_leaves_room_for_others(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MOST_OF_ONE_SUBJECT", 2)
    eve = {"Authorization": f"Bearer {service.key.mint('eve', ['queries:read'], timedelta(minutes=1))}"}
    async with service.http.stream("GET", "/v1/events") as first, service.http.stream("GET", "/v1/events") as second:
        third = await service.http.get("/v1/events")
        async with service.http.stream("GET", "/v1/events", headers=eve) as other:
            assert [reply.status_code for reply in (first, second, third, other)] == [200, 200, 503, 200]
    assert (third.json()["code"], third.headers["Retry-After"]) == ("overloaded", "1")


async def test_j9_stream_ends_with_the_token_that_opened_it(service: Service) -> None:
    token = service.token("queries:read", lifetime=timedelta(seconds=2))
    async with service.http.stream("GET", "/v1/events", headers={"Authorization": f"Bearer {token}"}) as response:
        async for _ in response.aiter_lines():
            pass

    assert time.time() < _expiry(token) + 3


async def test_l11_stream_ends_cleanly_when_the_gateway_stops_and_goes_on_elsewhere(service: Service) -> None:
    await register(service, "a", "b")
    async with service.http.stream("GET", "/v1/events?from=start") as response:
        followed = messages(response)
        first = await anext(followed)
        await service.tail.close()
        rest = [message async for message in followed]

    assert {message.data["actor_id"] for message in (first, *rest)} <= {"a", "b"}
    refused = await service.http.get("/v1/events", headers={"Last-Event-ID": first.id})
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")


async def test_bad_beginning_is_a_problem(service: Service) -> None:
    for query, headers, status, code in (
        ("", {"Last-Event-ID": "x"}, 400, "invalid-token"),
        ("?from=yesterday", {}, 422, "invalid"),
        ("?type=Ghost", {}, 422, "invalid"),
        ("", {"Authorization": f"Bearer {service.token('commands:write')}"}, 403, "insufficient-scope"),
    ):
        reply = await service.http.get(f"/v1/events{query}", headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (status, code)


async def test_id_of_a_future_that_the_log_has_lost_is_refused(new_database: Callable[[], str], tmp_path: Path) -> None:
    store = MemoryEventStore(partitions=4)
    async with running_service(STANDARD, new_database(), tmp_path, store) as service:
        await register(service, "a")
        kept, lost = Subscriber(service.http), Subscriber(service.http)
        await kept.follow(1)
        backup = await store.heads()
        await register(service, "b")
        await lost.follow(2)
    store.restore(backup)
    async with running_service(STANDARD, new_database(), tmp_path, store) as service:
        kept.http = service.http
        await register(service, "b", "c")
        reply = await service.http.get("/v1/events", headers={"Last-Event-ID": lost.last_id or ""})
        await kept.follow(2)

    assert (reply.status_code, reply.json()["code"]) == (400, "invalid-token")


async def test_f35_who_takes_nothing_is_cut_off_and_the_others_go_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "SEND_TIMEOUT_S", 0.5)
    connection = await _open_and_take_nothing(service)
    live = Subscriber(service.http)
    following = asyncio.create_task(live.follow(1_000_000))
    written = 0
    while written == 0 or service.tail.followers != 1:
        lines = [{"sku": f"{'x' * 56}-{number}", "quantity": 1, "unit_price": 1} for number in range(499)]
        order = {"customer_id": "alice", "currency": "USD", "lines": lines}
        assert (await service.http.post(f"/v1/orders/o{written}/create", json=order)).status_code == 200
        written += 500
        assert written < 30_000, "the one who takes nothing was not cut off"
    while live.seen < written:
        await asyncio.to_thread(lambda: None)
    following.cancel()
    connection.close()


def _body() -> str:
    return '{"name": "' + "x" * 200 + '", "email": "alice@example.com"}'


async def _open_and_take_nothing(service: Service) -> socket.socket:
    """A follower that has got the head of the answer, and whose buffers hold next to nothing more."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    loop, url = asyncio.get_running_loop(), service.http.base_url
    await loop.sock_connect(connection, (url.host, url.port))
    bearer = service.http.headers["Authorization"]
    head = f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\r\n"
    await loop.sock_sendall(connection, head.encode())
    assert (await loop.sock_recv(connection, 100)).startswith(b"HTTP/1.1 200")
    return connection


async def _follow_at_random(service: Service) -> list[Subscriber]:
    """Subscribers that take some events and connect anew, while the log grows."""
    luck = random.Random(7)  # noqa: S311

    async def write() -> None:
        for start in range(0, EVENTS, 50):
            await register(service, *(f"c{number}" for number in range(start, start + 50)))

    async def follow(subscriber: Subscriber) -> None:
        while subscriber.seen < EVENTS:
            await subscriber.follow(min(luck.randint(1, 60), EVENTS - subscriber.seen))

    subscribers = [Subscriber(service.http) for _ in range(SUBSCRIBERS)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        for subscriber in subscribers:
            tasks.create_task(follow(subscriber))
    return subscribers


def _expiry(token: str) -> float:
    import jwt

    return float(jwt.decode(token, options={"verify_signature": False})["exp"])
