"""Rows L1 to L10 and B3 of the checklist, each test named after its row, against the real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from actors.store.memory import MemoryWriteSession
from gateway.access.rate import RateLimited, Rates
from gateway.http.limits import Limits
from projections.standard import STANDARD
from tests.databases import Databases
from tests.identity_provider import Clock
from tests.integration.service import Service, running_service
from tests.integration.test_commands import standstill

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = Limits(body=64 * 1024, body_timeout_s=0.5, waiting=4, rate_per_s=500)
RENAME = "/v1/customers/alice/rename"
JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A service that takes little, for all tests of this file."""
    with databases.lent() as new_database:
        data = tmp_path_factory.mktemp("service")
        async with running_service(STANDARD, new_database(), data, limits=LIMITS) as service:
            yield service


def head(service: Service, *lines: str, path: str = RENAME, host: str = "127.0.0.1") -> bytes:
    """The head of a command as bytes, with some lines of one's own."""
    usual = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Authorization: {service.http.headers['Authorization']}"]
    return "\r\n".join([*usual, "Content-Type: application/json", *lines, "", ""]).encode()


def statuses(answer: bytes) -> list[int]:
    return [int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


async def test_l1_body_that_trickles_is_cut_off(service: Service) -> None:
    answer = await service.raw(head(service, "Content-Length: 20") + b'{"name"')

    assert statuses(answer) == [408]
    assert b'"code":"too-slow"' in answer
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("sent", [b"", b'5\r\n{"act\r\n', b"7\r\n{}\n{}\n{\r\n"])
async def test_l1_batch_that_stops_is_cut_off(service: Service, sent: bytes) -> None:
    lines = head(service, "Transfer-Encoding: chunked", path="/v1/commands")
    lines = lines.replace(b"application/json", b"application/x-ndjson")

    answer = await service.raw(lines + sent)

    assert not answer.endswith(b"0\r\n\r\n")
    assert statuses(answer) == [200 if b"\n{}" in sent else 408]


@pytest.mark.parametrize("piece", [b"1\r\n \r\n", b"1\r\n\n\r\n", b"1\r\n{\r\n"])
async def test_l1_batch_whose_lines_trickle_is_cut_off(service: Service, piece: bytes) -> None:
    """It never stops for long, and never says anything."""
    lines = head(service, "Transfer-Encoding: chunked", path="/v1/commands")
    async with service.connection() as (reader, writer), asyncio.timeout(30):
        writer.write(lines.replace(b"application/json", b"application/x-ndjson"))
        answer = asyncio.create_task(reader.readuntil(b"\r\n"))
        while not answer.done():
            writer.write(piece)
            await asyncio.wait([answer], timeout=LIMITS.body_timeout_s / 5)

        assert statuses(await answer) == [408]


@pytest.mark.parametrize("size", [LIMITS.body, LIMITS.body + 1])
async def test_l2_body_one_byte_over_is_refused(service: Service, size: int) -> None:
    body = b'{"name":"A"}'.ljust(size)

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:1000]
        yield body[1000:]

    declared = await service.http.post(RENAME, content=body, headers=JSON)
    chunked = await service.http.post(RENAME, content=chunks(), headers=JSON)

    wanted = (404, "customer-not-registered") if size == LIMITS.body else (413, "too-large")
    for reply in (declared, chunked):
        assert (reply.status_code, reply.json()["code"]) == wanted


async def test_l2_too_large_body_is_refused_before_it_comes(service: Service) -> None:
    answer = await service.raw(head(service, "Content-Length: 1000000000"))

    assert statuses(answer) == [413]


async def test_l2_compressed_body_is_not_unpacked(service: Service) -> None:
    for coding in ("gzip", "br", "deflate", "zstd"):
        reply = await service.http.post(RENAME, content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": coding})
        assert (reply.status_code, reply.json()["code"]) == (415, "unsupported-media-type"), coding


AMBIGUOUS = [
    b'{"name": "A", "name": "B"}',
    b'{"name": NaN}',
    b'{"name": -Infinity}',
    b'{"name": 1e999}',
    b'{"name": "A"} {}',
    b'{"name": "A",}',
    b"{'name': 'A'}",
    b'{"name": "\xc3\x28"}',
    b'\xff\xfe{"\x00',
    '{"name": "A"}'.encode("utf-16"),
    b'\xef\xbb\xbf{"name": "A"}',
    b'{"name": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"name": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    b'{"name": ' + b"9" * 5_000 + b"}",
]


async def test_l3_json_that_can_be_read_in_two_ways_is_refused(service: Service) -> None:
    for body in AMBIGUOUS:
        reply = await service.http.post(RENAME, content=body, headers=JSON)
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid"), body[:40]
        line = b'{"actor": "customer", "id": "alice", "command": "rename", "data": ' + body.replace(b"\n", b" ") + b"}"
        batch = await service.http.post("/v1/commands", content=line, headers={"Content-Type": "application/x-ndjson"})
        assert {json.loads(each)["status"] for each in batch.text.splitlines()} == {422}, body[:40]


async def test_l4_long_address_and_large_headers_are_refused(service: Service) -> None:
    over = Limits().address + 1 - len("/v1/customers?search=")
    long = await service.http.get(f"/v1/customers?search={'x' * over}")
    large = await service.http.get("/v1/customers", headers={"X-Large": "x" * Limits().head})

    assert (long.status_code, long.json()["code"]) == (414, "address-too-long")
    assert (large.status_code, large.json()["code"]) == (431, "headers-too-large")


@pytest.mark.parametrize("lines", [["X: " + "x" * 100_000], [f"X-{number}: x" for number in range(200)]])
async def test_l4_server_refuses_heads_beyond_its_buffer(service: Service, lines: list[str]) -> None:
    answer = await service.raw(head(service, *lines, "Content-Length: 0"), enough=b"\r\n\r\n")

    assert statuses(answer) == [431]


async def test_l5_request_over_the_bound_is_refused_at_once_and_the_next_is_not(service: Service, key: str) -> None:
    async with standstill(MemoryWriteSession, "append"):
        waiting = [asyncio.create_task(service.register(f"{key}{number}")) for number in range(LIMITS.waiting)]
        while (reply := await service.http.get("/openapi.json")).status_code == 200:
            pass
        # Nothing is wrong with the process, and to start it anew would not help.
        assert (await service.http.get("/healthz")).status_code == 200

    assert (reply.status_code, reply.json()["code"], reply.headers["Retry-After"]) == (503, "overloaded", "1")
    await asyncio.gather(*waiting)
    assert (await service.http.get("/openapi.json")).status_code == 200


async def test_l5_slow_senders_take_nobodys_place(views_url: str, tmp_path: Path) -> None:
    limits = Limits(waiting=2, patience_s=0.05, slow=4)
    body = b'{"name": "A", "email": "a@example.com"}'
    async with running_service(STANDARD, views_url, tmp_path, limits=limits) as service, AsyncExitStack() as stack:
        single = head(service, f"Content-Length: {len(body)}", path="/v1/customers/slow/register") + body[:-1]
        batch = head(service, "Transfer-Encoding: chunked", path="/v1/commands")
        batch = batch.replace(b"application/json", b"application/x-ndjson")
        slow = [await stack.enter_async_context(service.connection()) for _ in range(5)]
        for number, request in enumerate([single, single, batch, batch], 1):
            slow[number - 1][1].write(request)
            while service.door._places.slow < number:  # noqa: ASYNC110 - the door has no event for it
                await asyncio.sleep(0)
            assert (await service.http.get("/v1/customers")).status_code == 200
        await service.register("prompt")

        # One more than may be slow.
        reader, writer = slow[4]
        writer.write(single)
        assert statuses(await reader.readuntil(b"\r\n")) == [503]

        reader, writer = slow[0]
        writer.write(body[-1:])
        assert statuses(await reader.readuntil(b"\r\n")) == [200]


@pytest.mark.parametrize(("path", "kind"), [("/v1/commands", b"application/x-ndjson"), (RENAME, b"application/json")])
async def test_l5_senders_who_trickle_take_nobodys_place(
    views_url: str, tmp_path: Path, path: str, kind: bytes
) -> None:
    """None of the pieces takes long, but all of them together do."""
    limits = Limits(waiting=2, patience_s=0.3)
    async with running_service(STANDARD, views_url, tmp_path, limits=limits) as service, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(service.connection()) for _ in range(limits.waiting)]
        request = head(service, "Transfer-Encoding: chunked", path=path).replace(b"application/json", kind)
        for _, writer in sockets:
            writer.write(request)
        while service.door._places.waiting < limits.waiting:  # noqa: ASYNC110 - the door has no event for it
            await asyncio.sleep(0)

        async def status_amid_pieces() -> int:
            for _, writer in sockets:
                writer.write(b"1\r\n \r\n")
            return (await service.http.get("/v1/customers")).status_code

        async with asyncio.timeout(30):
            while service.door._places.slow < limits.waiting:
                await status_amid_pieces()
        assert {await status_amid_pieces() for _ in range(20)} == {200}


async def test_l6_subject_beyond_its_rate_is_told_when_to_come_again(service: Service) -> None:
    burst = [service.http.get("/v1/customers", headers={"Accept": "*/*"}) for _ in range(4)]
    first = (await asyncio.gather(*burst))[0]
    assert first.headers["RateLimit-Policy"] == '"subject";q=500;w=1'
    assert first.headers["RateLimit"].startswith('"subject";r=')


async def test_l6_bucket_holds_one_second_and_fills_steadily() -> None:
    clock = Clock(100.0)
    rates = Rates(10, now=clock)

    assert [rates.take("bob") for _ in range(10)][-1] == '"subject";r=0;t=1'
    with pytest.raises(RateLimited):
        rates.take("bob")
    rates.take("eve")
    clock.at += 0.1
    rates.take("bob")
    with pytest.raises(RateLimited):
        rates.take("bob")


async def test_l6_refusal_is_a_429_that_did_nothing(views_url: str, tmp_path: Path) -> None:
    async with running_service(STANDARD, views_url, tmp_path, limits=Limits(rate_per_s=1)) as service:
        replies = [await service.http.post(RENAME, json={"name": "A"}) for _ in range(3)]

        assert 429 in [reply.status_code for reply in replies]
        refused = next(reply for reply in replies if reply.status_code == 429)
        assert (refused.json()["code"], refused.headers["Retry-After"]) == ("rate-limited", "1")
        assert refused.headers["RateLimit-Policy"] == '"subject";q=1;w=1'


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


AMBIGUOUS_HEADS = [
    ("both lengths", ["Content-Length: 6", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
    ("two lengths", ["Content-Length: 0", "Content-Length: 44"], SMUGGLED),
    ("signed length", ["Content-Length: +44"], SMUGGLED),
    ("negative length", ["Content-Length: -1"], SMUGGLED),
    ("length in hex", ["Content-Length: 0x2c"], SMUGGLED),
    ("lengths in a list", ["Content-Length: 0, 44"], SMUGGLED),
    ("unknown coding", ["Transfer-Encoding: xchunked"], SMUGGLED),
    ("chunked not last", ["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n" + SMUGGLED),
    ("space before colon", ["Content-Length : 44"], SMUGGLED),
    ("folded header", ["X: a\r\n b", "Content-Length: 0"], b""),
    ("bad chunk size", ["Transfer-Encoding: chunked"], b"zz\r\n\r\n" + SMUGGLED),
    ("signed chunk size", ["Transfer-Encoding: chunked"], b"+2\r\n{}\r\n0\r\n\r\n" + SMUGGLED),
    ("NUL in a header", ["X: a\x00b", "Content-Length: 0"], b""),
    ("bare CR in a header", ["X: a\rb", "Content-Length: 0"], b""),
]


async def test_l7_ambiguous_request_has_at_most_one_answer(service: Service) -> None:
    sent = [service.raw(head(service, *lines) + rest, within_s=1.0) for _, lines, rest in AMBIGUOUS_HEADS]
    for (name, _, _), answer in zip(AMBIGUOUS_HEADS, await asyncio.gather(*sent), strict=True):
        assert len(statuses(answer)) <= 1, name
        assert not set(statuses(answer)) & {200, 201}, name


async def test_l7_first_line_that_is_none_is_refused(service: Service) -> None:
    lines = [b"GET  /healthz HTTP/1.1", b"GET /healthz HTTP/1.1 x", b"get\x00 / HTTP/1.1", b"\x16\x03"]
    sent = [service.raw(line + b"\r\nHost: 127.0.0.1\r\n\r\n", within_s=1.0) for line in lines]
    for line, answer in zip(lines, await asyncio.gather(*sent), strict=True):
        assert 200 not in statuses(answer), line


async def test_l10_http_2_is_not_spoken(service: Service) -> None:
    answer = await service.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", within_s=1.0)

    assert b"\x00\x00\x00\x04\x00" not in answer


async def test_b3_request_for_another_host_is_refused(service: Service) -> None:
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.", "evil.example:8700", ""]:
        answer = await service.raw(head(service, "Content-Length: 0", "Connection: close", host=host))
        assert b"wrong-host" in answer or statuses(answer) == [400], host


async def test_b3_request_for_two_hosts_is_refused(service: Service) -> None:
    for other in ["evil.example", "127.0.0.1"]:
        lines = head(service, f"Host: {other}", "Content-Length: 12", "Connection: close")
        assert statuses(await service.raw(lines + b'{"name":"A"}')) == [400], other


async def test_b3_request_for_this_machine_is_answered(service: Service) -> None:
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8700", "[::1]:8700", "[::1]"]:
        lines = head(service, "Content-Length: 12", "Connection: close", host=host)
        assert statuses(await service.raw(lines + b'{"name":"A"}')) == [404], host
