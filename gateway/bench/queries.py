"""Queries: for one customer, for pages and searches, and for the past; beside the same SQL without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from itertools import count, islice

import asyncpg

from gateway.bench.bare_server import bare_server
from gateway.bench.http import register_customers
from gateway.bench.http_load import closed_requests
from gateway.bench.load import closed_loop
from gateway.bench.loads import QueryLoad
from gateway.bench.report import Figure, Report
from gateway.serve import Running, Say, temporary_service
from projections.customers import CUSTOMERS, find_customers
from projections.view_reader import POOL_SIZE, ViewReader

CALLERS = 32
WARM_UP_S = 1.0
RAW_POINT = "SELECT * FROM customers WHERE id = $1"

Work = Callable[[], Awaitable[object]]


async def bench_queries(load: QueryLoad, say: Say) -> Report:
    """Ask a service of its own in a temporary directory."""
    async with temporary_service(say) as service:
        say(f"registering {load.customers} customers")
        token = service.token
        await register_customers(service, token, load.customers)
        async with _database(service) as (pool, reader):
            alone = await _without_http("raw: one row, a statement for each", _raw_points(pool, load), load, say)
            shared = await _without_http("one row, statements shared, no HTTP", _points(reader, load), load, say)
            pages = await _without_http("raw: first 50 by name, no HTTP", _pages(reader, load, None), load, say)
            found = await _without_http("raw: search, 50 found, no HTTP", _pages(reader, load, "customer"), load, say)
        figures = [
            await _over_http(service, "one customer", "/v1/customers/c{}", load, say, alone, "P4: 4,500/s"),
            await _over_http(service, "first 50 by name", "/v1/customers?limit=50", load, say, pages),
            await _over_http(service, "search, 50 found", "/v1/customers?search=customer&limit=50", load, say, found),
            await _over_http(service, "history of one customer", "/v1/customers/c{}/history", load, say),
            await _over_http(service, "one customer as of version 1", "/v1/customers/c{}?as_of_version=1", load, say),
        ]
    say("sending the same to a server that does nothing")
    async with bare_server() as url:
        bare, _ = await closed_requests(url, _requests(token, "/v1/customers/c{}", load), CALLERS, load.seconds)
    raw = Figure(f"the HTTP server alone, {CALLERS} connections", bare.per_s, bare.latencies)
    return Report("queries", asdict(load), [*figures, shared, alone, pages, found, raw])


async def _over_http(
    service: Running, what: str, path: str, load: QueryLoad, say: Say, raw: Figure | None = None, target: str = ""
) -> Figure:
    say(f"{what}, {CALLERS} connections")
    await closed_requests(service.url, _requests(service.token, path, load), CALLERS, WARM_UP_S)
    done, tally = await closed_requests(service.url, _requests(service.token, path, load), CALLERS, load.seconds)
    share = None if raw is None or raw.per_s is None else done.per_s / raw.per_s
    refused = {f"answered {status}": float(number) for status, number in tally.others.items()}
    return Figure(f"{what}, {CALLERS} connections", done.per_s, done.latencies, share, target, refused)


async def _without_http(what: str, work: Iterator[Work], load: QueryLoad, say: Say) -> Figure:
    say(what)
    done = await closed_loop(islice(work, load.statements), CALLERS)
    return Figure(what, done.per_s, done.latencies)


@asynccontextmanager
async def _database(service: Running) -> AsyncIterator[tuple[asyncpg.Pool, ViewReader]]:
    url = service.databases.views_url
    reader = ViewReader(url, [CUSTOMERS])
    async with asyncpg.create_pool(url, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        yield pool, reader
    await reader.close()


def _requests(token: str, path: str, load: QueryLoad) -> Iterator[bytes]:
    for number in count():
        where = path.format(number * 7 % load.customers)
        yield f"GET {where} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def _raw_points(pool: asyncpg.Pool, load: QueryLoad) -> Iterator[Work]:
    for number in count():
        yield partial(pool.fetch, RAW_POINT, f"c{number * 7 % load.customers}")


def _points(reader: ViewReader, load: QueryLoad) -> Iterator[Work]:
    for number in count():
        yield partial(reader.get, CUSTOMERS, f"c{number * 7 % load.customers}")


def _pages(reader: ViewReader, load: QueryLoad, search: str | None) -> Iterator[Work]:
    page = partial(find_customers, reader, status=None, search=search, sort="name", limit=50, cursor=None)
    for _ in range(max(1, load.statements // 10)):
        yield page
