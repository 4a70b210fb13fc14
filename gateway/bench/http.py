"""Single commands and queries over HTTP: closed loops at several numbers of connections, and an open loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import count
from uuid import uuid4

import httpx
import msgspec

from gateway.bench.bare_server import bare_server
from gateway.bench.cpu import CpuTime
from gateway.bench.http_load import Tally, closed_requests, open_requests
from gateway.bench.load import Load
from gateway.bench.loads import HttpLoad
from gateway.bench.report import Figure, Report
from gateway.serve import Running, Say, temporary_service

QUERIES_FOR_EACH_COMMAND = 3
WARM_UP_S = 1.0

_Measured = tuple[Load, Tally]


async def bench_http(load: HttpLoad, say: Say) -> Report:
    """Run the load against a service of its own in a temporary directory."""
    async with temporary_service(say) as service:
        token = service.token
        say(f"registering {load.customers} customers")
        await register_customers(service, token, load.customers)
        figures = [await _closed(service, "commands", _commands(token, load), load, say, 1, "P10: p50 < 10 ms")]
        at_32 = await _closed(service, "commands", _commands(token, load), load, say, 32, "P3: 2,600/s, p50 < 12 ms")
        figures += [
            at_32,
            await _closed(service, "commands", _commands(token, load), load, say, 128, "P3: 3,500/s"),
            await _open(service, _commands(token, load), load, say, (at_32.per_s or 1.0) * load.open_share),
            await _closed(service, "queries", _queries(token, load), load, say, 32, "P4: 4,500/s"),
            await _closed(service, "three queries, one command", _mixed(token, load), load, say, 32, "P4: 4,000/s"),
        ]
    say("sending the same to a server that does nothing")
    async with bare_server() as url:
        bare, _ = await closed_requests(url, _commands(token, load), 32, load.seconds)
    raw = Figure("the HTTP server alone, 32 connections", bare.per_s, bare.latencies)
    return Report("http", asdict(load), [*figures, raw])


async def _closed(
    service: Running, what: str, requests: Iterator[bytes], load: HttpLoad, say: Say, connections: int, target: str
) -> Figure:
    say(f"{what}, {connections} connections")
    await closed_requests(service.url, requests, connections, WARM_UP_S)
    cpu = CpuTime(service)
    with cpu.counted():
        measured = await closed_requests(service.url, requests, connections, load.seconds)
    return _figure(f"{what}, {connections} connections", measured, target, cpu.each_us(measured[0].done))


async def _open(service: Running, requests: Iterator[bytes], load: HttpLoad, say: Say, per_s: float) -> Figure:
    say(f"commands, {per_s:.0f} each second by the clock")
    measured = await open_requests(service.url, requests, 256, load.seconds, per_s)
    return _figure(f"commands by the clock, {per_s:.0f} each second", measured, "", {})


def _figure(name: str, measured: _Measured, target: str, more: Mapping[str, float]) -> Figure:
    done, tally = measured
    refused = {f"answered {status}": float(number) for status, number in tally.others.items()}
    return Figure(name, done.per_s, done.latencies, target=target, more={**more, **refused})


async def register_customers(service: Running, token: str, customers: int) -> None:
    """Register `c0`, `c1`, … and wait until the view has them."""
    lines = [
        {
            "actor": "customer",
            "id": f"c{number}",
            "command": "register",
            "data": {"name": f"Customer {number}", "email": f"c{number}@example.com"},
        }
        for number in range(customers)
    ]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=120.0) as http:
        reply = await http.post("/v1/commands", content=b"\n".join(map(msgspec.json.encode, lines)))
        last = msgspec.json.decode(reply.text.splitlines()[-1])
        await http.get("/v1/customers/c0", headers={"Consistency-Token": last["token"], "Prefer": "wait=30"})


def _commands(token: str, load: HttpLoad) -> Iterator[bytes]:
    run = uuid4().hex
    for number in count():
        body = b'{"name": "Customer %d of %s"}' % (number, run.encode())
        yield (
            f"POST /v1/customers/c{number % load.customers}/rename HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nIdempotency-Key: {run}-{number}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


def _queries(token: str, load: HttpLoad) -> Iterator[bytes]:
    for number in count():
        yield (
            f"GET /v1/customers/c{number * 7 % load.customers} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()


def _mixed(token: str, load: HttpLoad) -> Iterator[bytes]:
    commands, queries = _commands(token, load), _queries(token, load)
    while True:
        for _ in range(QUERIES_FOR_EACH_COMMAND):
            yield next(queries)
        yield next(commands)
