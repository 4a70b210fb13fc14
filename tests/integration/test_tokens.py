"""What a caller has seen, no later answer takes back: I10, I11, and F38 (the log restored from a backup)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest
from typing_extensions import override

from actors.store.event_store import EventStore, Mark, Marks
from actors.store.memory import MemoryEventStore
from gateway.queries.answers import Answers
from gateway.queries.log_reader import LogReader
from projections.standard import STANDARD
from tests.integration.service import Service, running_service

ALICE = {"name": "Alice", "email": "alice@example.com"}
TOKEN = "Consistency-Token"


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


class Session:
    """A caller who gives every query the token of the last answer, and checks what comes back."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._seen: Marks = {}
        self.token = ""

    async def command(self, path: str, body: Mapping[str, object]) -> httpx.Response:
        reply = await self._service.http.post(path, json=body)
        assert reply.status_code == 200, reply.text
        self._note(reply)
        return reply

    async def query(self, path: str, wait: str = "wait=30") -> httpx.Response:
        reply = await self._service.http.get(path, headers={TOKEN: self.token, "Prefer": wait})
        if reply.is_success:
            marks = self._service.tokens.decode(reply.headers[TOKEN])
            older = [each for each, mark in self._seen.items() if marks[each].position < mark.position]
            assert not older, f"partitions {older} are older than the token"
            self._note(reply)
        return reply

    def _note(self, reply: httpx.Response) -> None:
        self.token = reply.headers[TOKEN]
        self._seen = self._service.tokens.decode(self.token)


async def test_reads_of_one_caller_never_go_back_while_others_write(service: Service) -> None:
    async def call(number: int) -> None:
        session, path = Session(service), f"/v1/customers/c{number}"
        version = (await session.command(f"{path}/register", ALICE)).json()["version"]
        for name in ("Ann", "Bea", "Cy"):
            assert (await session.query(path)).json()["version"] >= version
            assert (await session.query("/v1/customers")).status_code == 200
            version = (await session.command(f"{path}/rename", {"name": name})).json()["version"]
            assert (await session.query(path)).json()["name"] == name

    await asyncio.gather(*(call(number) for number in range(8)))


async def test_read_that_cannot_have_what_the_caller_knows_is_refused(service: Service) -> None:
    session = await _write_behind_the_back_of_the_views(service)

    reply = await session.query("/v1/customers/alice", "wait=0")

    assert (reply.status_code, reply.json()["code"]) == (503, "not-yet-consistent")


async def test_check_finds_a_gateway_that_ignores_tokens(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> Marks:
        return {}

    session = await _write_behind_the_back_of_the_views(service)
    monkeypatch.setattr(Answers, "known_to", nothing)

    with pytest.raises(AssertionError, match="older than the token"):
        await session.query("/v1/customers/alice", "wait=0")


async def test_token_of_a_future_that_the_log_has_lost_is_refused(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    store = MemoryEventStore(partitions=4)
    async with running_service(STANDARD, new_database(), tmp_path, store) as service:
        kept = await _register(service, "alice")
        backup = await store.heads()
        lost = await _register(service, "alice", name="Alicia")
    store.restore(backup)
    async with running_service(STANDARD, new_database(), tmp_path, store) as service:
        assert await _ask(service, kept) == (200, None)
        assert await _ask(service, lost) == (400, "invalid-token")
        others = await _register(service, "alice", name="Alba")
        assert await _ask(service, lost) == (400, "invalid-token")
        assert await _ask(service, kept) == (200, None)
        assert await _ask(service, others) == (200, None)


async def test_view_of_a_future_that_the_log_has_lost_does_not_answer_a_caller_with_a_token(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    views = new_database()
    store = MemoryEventStore(partitions=4)
    async with running_service(STANDARD, views, tmp_path, store) as service:
        backup = await store.heads()
        assert await _ask(service, await _register(service, "alice", name="Alicia")) == (200, None)
    store.restore(backup)
    async with running_service(STANDARD, views, tmp_path, store) as service:
        others = await _register(service, "alice", name="Alba")

        assert await _ask(service, others) == (503, "not-yet-consistent")


async def _write_behind_the_back_of_the_views(service: Service) -> Session:
    session = Session(service)
    await session.command("/v1/customers/alice/register", ALICE)
    assert (await session.query("/v1/customers/alice")).status_code == 200
    for runner in service.runners:
        runner.cancel()
    await session.command("/v1/customers/alice/rename", {"name": "Alicia"})
    return session


async def _register(service: Service, key: str, name: str = "Alice") -> str:
    """A token that has the customer, under this name."""
    await service.http.post(f"/v1/customers/{key}/register", json=ALICE)
    reply = await service.http.post(f"/v1/customers/{key}/rename", json={"name": name})
    token: str = reply.headers[TOKEN]
    return token


async def _ask(service: Service, token: str) -> tuple[int, str | None]:
    reply = await service.http.get("/v1/customers/alice", headers={TOKEN: token, "Prefer": "wait=5"})
    return reply.status_code, None if reply.is_success else reply.json()["code"]


class NotesConnections(MemoryEventStore):
    """How often it was to connect anew."""

    connected = 0

    @override
    async def connect_anew(self) -> None:
        self.connected += 1


async def test_f38_tokens_that_are_not_in_the_log_do_not_make_the_gateway_connect_again_and_again() -> None:
    store = NotesConnections(partitions=1)
    reader = LogReader(partial(_opened, store))

    known = await asyncio.gather(*(reader.has({0: Mark(position, 1)}) for position in range(1, 200)))

    assert (any(known), store.connected) == (False, 1)


async def _opened(store: EventStore) -> EventStore:
    return store
