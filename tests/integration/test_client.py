from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from actors.domain.customer import CUSTOMER, CustomerRenamed, Rename
from actors.domain.order import AddLine
from actors.errors import (
    CommandIdReused,
    InvalidCommand,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)
from gateway.client import GatewayClient
from gateway.http.limits import Limits
from gateway.remote.errors import NotAllowed
from projections.standard import STANDARD
from tests.integration.service import Service, running_service
from tests.listening import listening

pytestmark = pytest.mark.asyncio(loop_scope="module")


def url_of(service: Service) -> str:
    return str(service.http.base_url).rstrip("/")


def client_of(service: Service, *scopes: str) -> GatewayClient:
    return GatewayClient(url_of(service), service.token(*(scopes or ("commands:write", "queries:read"))))


async def test_command_and_query_that_sees_it(service: Service, key: str) -> None:
    async with client_of(service) as client:
        alice = client.customer(key)
        registered = await alice.register(name="Alice", email="alice@example.com")
        renamed = await alice.rename(name="Alice Smith", expected_version=registered.version)
        again = await alice.rename(name="Alice Smith", command_id=renamed.command_id)
        seen = await client.get_customer(key, after=renamed.token)
        order = client.order(key)
        await order.create(customer_id=key, currency="USD", lines=[AddLine(sku="cd", quantity=1, unit_price=5)])
        placed = await order.place()

        assert (renamed.version, renamed.events) == (2, (CustomerRenamed(name="Alice Smith"),))
        assert (again.version, again.events, again.replayed) == (2, renamed.events, True)
        assert (seen["name"], seen["version"]) == ("Alice Smith", 2)
        assert (await client.get_order(key, after=placed.token))["total"] == 5
        assert (await client.actor(CUSTOMER, key).execute(Rename(name="Alice Smith"))).events == ()


async def test_errors_are_those_of_a_reference(service: Service, key: str) -> None:
    async with client_of(service) as client, client_of(service, "queries:read") as reader:
        alice, used = client.customer(key), uuid4()
        await alice.register(name="Alice", email="alice@example.com", command_id=used)

        with pytest.raises(Rejected) as rejected:
            await alice.register(name="Alice", email="alice@example.com")
        assert (rejected.value.code, rejected.value.absent) == ("customer-already-registered", False)
        with pytest.raises(Rejected) as rejected:
            await client.get_customer("nobody")
        assert (rejected.value.code, rejected.value.absent) == ("customer-not-found", True)
        with pytest.raises(WrongExpectedVersion) as wrong:
            await alice.rename(name="A", expected_version=7)
        assert (wrong.value.stream, wrong.value.expected, wrong.value.actual) == (f"customer-{key}", 7, 1)
        with pytest.raises(WrongExpectedVersion):
            await alice.rename(name="A", expected_version=0)
        with pytest.raises(CommandIdReused):
            await alice.rename(name="A", command_id=used)
        with pytest.raises(InvalidCommand):
            await client.get("/v1/customers", limit=0)
        with pytest.raises(NotAllowed):
            await reader.customer(key).rename(name="A")


@pytest.mark.parametrize("wrong", ["../orders/x", "", "a/history", "a?limit=1"])
async def test_key_that_would_lead_elsewhere_is_no_key(service: Service, wrong: str) -> None:
    async with client_of(service) as client:
        for query in (client.get_customer, client.get_order):
            with pytest.raises(ValueError, match="is no id"):
                await query(wrong)


async def test_key_of_a_row_may_be_anything_but_empty(service: Service) -> None:
    async with client_of(service) as client:
        with pytest.raises(InvalidCommand, match=r"/v1/views/sales/\.\.%2Forders%2Fx%3Flimit%3D1: there is nothing"):
            await client.get_row("sales", "../orders/x?limit=1")
        with pytest.raises(ValueError, match="empty"):
            await client.get_row("sales", "")


async def test_customer_may_be_called_dot(service: Service) -> None:
    async with client_of(service) as client:
        for key in (".", ".."):
            registered = await client.customer(key).register(name="Dot", email="dot@example.com")

            assert (await client.get_customer(key, after=registered.token))["id"] == key


async def test_address_without_anything_is_no_rejection(service: Service) -> None:
    async with client_of(service) as client, GatewayClient(f"{url_of(service)}/api", "any") as astray:
        with pytest.raises(InvalidCommand, match="/v1/nothing: there is nothing at this address"):
            await client.get("/v1/nothing")
        with pytest.raises(InvalidCommand, match="/api/v1/customers/alice/rename: there is nothing"):
            await astray.customer("alice").rename(name="A")


async def test_lost_answer_is_asked_for_again_under_the_same_key(service: Service, key: str) -> None:
    lossy = _Lossy(2)
    token = service.token("commands:write")
    async with GatewayClient(url_of(service), token, transport=lossy) as client:
        receipt = await client.customer(key).register(name="Alice", email="alice@example.com")

    assert (receipt.version, receipt.replayed, lossy.lost) == (1, True, 2)
    assert await service.events_of(f"customer-{key}") == ["CustomerRegistered"]


async def test_answers_that_are_lost_until_the_end_leave_the_outcome_unknown(service: Service, key: str) -> None:
    token = service.token("commands:write")
    async with GatewayClient(url_of(service), token, transport=_Lossy(10_000)) as client:
        with pytest.raises(OutcomeUnknown):
            await client.customer(key).register(name="A", email="alice@example.com", timeout=0.3)


async def test_query_whose_answers_are_lost_speaks_of_no_command(service: Service) -> None:
    async with GatewayClient(url_of(service), service.token("queries:read"), transport=_Lossy(10_000)) as client:
        with pytest.raises(Unavailable, match="the answer was lost"):
            await client.get("/v1/customers", timeout_s=0.3)


async def test_gateway_that_says_nothing_keeps_nobody_longer_than_he_has_time() -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        listening(say_nothing) as port,
        GatewayClient(f"http://127.0.0.1:{port}", "any") as client,
        asyncio.timeout(20),
    ):
        with pytest.raises(OutcomeUnknown):
            await client.customer("alice").rename(name="A", timeout=0.1)


async def test_gateway_that_is_gone_is_passed_over(service: Service, key: str) -> None:
    token = service.token("commands:write")
    urls = ["http://127.0.0.1:9", url_of(service)]
    async with GatewayClient(urls, token) as client, GatewayClient(urls[:1], token) as nobody:
        assert (await client.customer(key).register(name="A", email="alice@example.com")).version == 1
        with pytest.raises(Unavailable):
            await nobody.customer(key).rename(name="B", timeout=0.2)


async def test_busy_gateway_is_asked_again_after_the_pause_it_names(views_url: str, tmp_path: Path) -> None:
    async with (
        running_service(STANDARD, views_url, tmp_path, limits=Limits(rate_per_s=1)) as service,
        client_of(service) as client,
    ):
        alice = client.customer("alice")
        await alice.register(name="A", email="alice@example.com")
        assert (await alice.rename(name="B")).version == 2
        hasty = [alice.rename(name="C", timeout=0.01) for _ in range(10)]
        assert Overloaded in {type(each) for each in await asyncio.gather(*hasty, return_exceptions=True)}


async def test_events_go_on_after_the_connection_is_lost(alone: Service) -> None:
    url = url_of(alone)
    cut = _Cut()
    async with (
        client_of(alone) as client,
        GatewayClient(url, alone.token("queries:read"), transport=cut) as follower,
    ):
        alice = client.customer("alice")
        await alice.register(name="0", email="alice@example.com")
        async with aclosing(follower.events(from_="start", types=["CustomerRenamed"])) as events:
            for number in range(1, 6):
                await alice.rename(name=str(number))
                event = await asyncio.wait_for(anext(events), 10)
                assert (event.type, event.data["data"], event.data["version"]) == (
                    "CustomerRenamed",
                    {"name": str(number)},
                    number + 1,
                )
    assert cut.connections >= 5


@pytest.mark.parametrize("cut", ["reset", "ended"])
async def test_events_that_come_while_the_first_connection_is_lost_are_not_missed(alone: Service, cut: str) -> None:
    """It had brought no event yet, and was to begin with the present end of the log."""
    interrupted = _Interrupted(cut)
    token = alone.token("queries:read")
    async with client_of(alone) as client, GatewayClient(url_of(alone), token, transport=interrupted) as follower:
        async with aclosing(follower.events()) as events, asyncio.timeout(30):
            first = asyncio.create_task(anext(events))
            await interrupted.opened.wait()
            await client.customer("missed").register(name="A", email="a@example.com")
            interrupted.cut()
            assert (await first).data["actor_id"] == "missed"
        assert interrupted.connections == 2


class _Interrupted(httpx.AsyncHTTPTransport):
    """Shows nothing of its first stream, which breaks, or ends in order, when it is told to."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how
        self.opened, self._over = asyncio.Event(), asyncio.Event()
        self.connections = 0

    def cut(self) -> None:
        self._over.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.connections += 1
        response = await super().handle_async_request(request)
        if self.connections > 1:
            return response
        await response.aclose()
        return httpx.Response(response.status_code, headers=response.headers, stream=_Nothing(self._nothing))

    async def _nothing(self) -> AsyncIterator[bytes]:
        self.opened.set()
        await self._over.wait()
        if self._how == "reset":
            raise httpx.ReadError("reset")
        yield b""


class _Nothing(httpx.AsyncByteStream):
    def __init__(self, chunks: Callable[[], AsyncIterator[bytes]]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks():
            yield chunk


class _Lossy(httpx.AsyncHTTPTransport):
    """Does what it is asked, and loses the first answers to commands."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.to_lose, self.lost = answers, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self.lost < self.to_lose:
            self.lost += 1
            await response.aread()
            raise httpx.ReadError("lost")
        return response


class _Cut(httpx.AsyncHTTPTransport):
    """Loses each connection after one event."""

    connections = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.connections += 1
        response = await super().handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Short(response))


class _Short(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_raw():
            yield chunk
            if b"data:" in chunk:
                raise httpx.ReadError("cut")

    async def aclose(self) -> None:
        await self._response.aclose()
