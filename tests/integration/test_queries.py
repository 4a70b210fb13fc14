"""Queries over HTTP: rows R1, C1 and C5 of the checklist, each test named after its row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from projections.standard import STANDARD
from tests.databases import Databases
from tests.integration.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def named(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A service whose customers have names of more than letters, and views that have them."""
    with databases.lent() as new_database:
        async with running_service(STANDARD, new_database(), tmp_path_factory.mktemp("named")) as service:
            for key, name in NAMES.items():
                token = await service.register(key, name=name, email="post@example.com")
            waiting = {"Consistency-Token": token, "Prefer": "wait=10"}
            assert (await service.http.get("/v1/customers", headers=waiting)).status_code == 200
            yield service


async def test_customer_is_shown_as_the_contract_says(service: Service, key: str) -> None:
    token = await service.register(key, credit_limit=500)

    reply = await service.http.get(f"/v1/customers/{key}", headers={"Consistency-Token": token})

    body = reply.json()
    assert set(body) == {"id", "name", "email", "status", "credit_limit", "version", "registered_at", "updated_at"}
    assert (body["status"], body["credit_limit"], body["version"]) == ("active", 500, 1)
    assert body["registered_at"].endswith("Z")


async def test_c1_etag_is_the_version_and_changes_with_it_only(service: Service, key: str) -> None:
    async def tag(path: str, token: str) -> str:
        return (await service.http.get(path, headers={"Consistency-Token": token})).headers["ETag"]

    path = f"/v1/customers/{key}"
    first = await service.register(key)
    assert await tag(path, first) == '"1"'
    assert (await tag("/v1/customers", first)).startswith('W/"')
    counts = await tag("/v1/statistics/customers", first)
    again = await service.http.post(f"{path}/rename", json={"name": "Alice"})
    assert (again.headers["ETag"], await tag(path, again.json()["token"])) == ('"1"', '"1"')
    renamed = await service.http.post(f"{path}/rename", json={"name": "Alicia"})
    assert (renamed.headers["ETag"], await tag(path, renamed.json()["token"])) == ('"2"', '"2"')
    assert await tag("/v1/statistics/customers", renamed.json()["token"]) == counts


async def test_c5_query_with_its_own_etag_is_not_answered_again(service: Service, key: str) -> None:
    token = await service.register(key)
    first = await service.http.get(f"/v1/customers/{key}", headers={"Consistency-Token": token})

    again = await service.http.get(f"/v1/customers/{key}", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Consistency-Token"]
    for known in ['W/"1"', '"0", W/"1"', "*"]:
        weak = await service.http.get(f"/v1/customers/{key}", headers={"If-None-Match": known})
        assert weak.status_code == 304, known
    twice = [("If-None-Match", '"0"'), ("If-None-Match", '"1"')]
    several = await service.http.get(f"/v1/customers/{key}", headers=twice)
    assert several.status_code == 304
    for reply in (first, again):
        assert (reply.headers["Cache-Control"], reply.headers["Vary"]) == ("private, no-store", "Authorization")


async def test_r1_query_with_the_token_of_a_command_sees_it(service: Service, key: str) -> None:
    for number in range(20):
        token = await service.register(f"{key}{number}")
        reply = await service.http.get(f"/v1/customers/{key}{number}", headers={"Consistency-Token": token})
        assert reply.status_code == 200, reply.text
        assert reply.json()["version"] == 1


async def test_r1_query_is_not_answered_with_data_older_than_its_token(alone: Service) -> None:
    await alone.register("alice")
    for runner in alone.runners:
        runner.cancel()
    token = await alone.register("late")

    reply = await alone.http.get("/v1/customers/alice", headers={"Consistency-Token": token, "Prefer": "wait=0"})

    assert (reply.status_code, reply.json()["code"]) == (503, "not-yet-consistent")
    assert reply.headers["Retry-After"]


async def test_r1_who_does_not_wait_is_answered_when_the_view_has_everything(service: Service, key: str) -> None:
    token = {"Consistency-Token": await service.register(key)}
    await service.http.get(f"/v1/customers/{key}", headers=token)

    reply = await service.http.get(f"/v1/customers/{key}", headers={**token, "Prefer": "wait=0"})

    assert (reply.status_code, reply.json()["id"]) == (200, key)


@pytest.mark.parametrize("token", ["x", "", "AAAAAAAAAAAAMC0x", "é"])
async def test_r1_made_up_token_is_refused(service: Service, token: str) -> None:
    reply = await service.http.get("/v1/customers/alice", headers=[(b"Consistency-Token", token.encode())])

    assert (reply.status_code, reply.json()["code"]) == (400, "invalid-token")


@pytest.mark.parametrize(("path", "header"), [("customers/alice", "Consistency-Token"), ("events", "Last-Event-ID")])
async def test_r1_two_tokens_are_not_taken_for_one(service: Service, key: str, path: str, header: str) -> None:
    old, new = await service.register(key), await service.register(f"{key}2")

    reply = await service.http.get(f"/v1/{path}", headers=[(header, old), (header, new)])

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, f"/{header}")


async def test_queries_on_all_views_wait_at_the_same_time(service: Service, key: str) -> None:
    token = {"Consistency-Token": await service.register(key)}
    paths = [f"customers/{key}", f"customers/{key}/orders", "orders/x", "statistics/sales", "statistics/customers"]

    replies = await asyncio.gather(*(service.http.get(f"/v1/{path}", headers=token) for path in paths * 4))

    assert [reply.status_code for reply in replies] == [200, 200, 404, 200, 200] * 4


async def test_customers_are_found_by_words_of_their_name_and_by_address(alone: Service) -> None:
    await alone.register("a", name="Ada Lovelace", email="ada@example.com")
    await alone.register("b", name="Bob O'Neil", email="bob@example.com")
    token = await alone.register("c", name="ada Byron", email="count@example.org")

    async def search(**query: str) -> list[str]:
        reply = await alone.http.get("/v1/customers", params=query, headers={"Consistency-Token": token})
        return [item["id"] for item in reply.json()["items"]]

    assert await search(search="ada") == ["c", "a"]
    assert await search(search="LOVE") == ["a"]
    assert await search(search="ada by") == ["c"]
    assert await search(search="o'n") == ["b"]
    assert await search(search="count@") == ["c"]
    assert await search(search="example") == []
    assert await search(search="vel") == []
    assert await search(sort="-name") == ["b", "a", "c"]
    assert await search(sort="registered_at") == ["a", "b", "c"]
    assert await search(status="inactive") == []


NAMES = {
    "bob": "Bob (Robert) Smith",
    "nick": '"Quoted" Name',
    "jean": "Jean-Luc O'Brien",
    "anne": "Anne,Marie__2nd",
    "heart": "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}Valentine",
    "stamboul": "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul Zoe\N{COMBINING DIAERESIS}lla",
}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("robert", ["bob"]),
        ("(rob", ["bob"]),
        ("smith rob", ["bob"]),
        ("quoted", ["nick"]),
        ('"quoted" n', ["nick"]),
        ("luc", ["jean"]),
        ("jean-luc", ["jean"]),
        ("JEAN luc", ["jean"]),
        ("brien", ["jean"]),
        ("o'brien", ["jean"]),
        ("marie", ["anne"]),
        ("2n", ["anne"]),
        ("marie__2", ["anne"]),
        ("val", ["heart"]),
        ("zoe", ["stamboul"]),
        ("stanbul", []),
        ("lla", []),
        ("ean", []),
        ("nd", []),
        ("example", []),
        ("com", []),
    ],
)
async def test_word_begins_after_what_is_neither_letter_nor_digit(
    named: Service, search: str, found: list[str]
) -> None:
    reply = await named.http.get("/v1/customers", params={"search": search})

    assert [item["id"] for item in reply.json()["items"]] == found


async def test_pages_have_every_customer_once(alone: Service) -> None:
    for number in range(7):
        token = await alone.register(f"c{number}", name=f"Name {number % 3}")
    for sort in ("name", "-name", "registered_at", "-registered_at"):
        seen: list[str] = []
        query = {"sort": sort, "limit": "3"}
        while True:
            page = await alone.http.get("/v1/customers", params=query, headers={"Consistency-Token": token})
            seen += [item["id"] for item in page.json()["items"]]
            if page.json()["next_cursor"] is None:
                break
            query["cursor"] = page.json()["next_cursor"]

        assert sorted(seen) == [f"c{number}" for number in range(7)]
        other = {**query, "sort": "name" if "reg" in sort else "registered_at"}
        wrong = await alone.http.get("/v1/customers", params=other)
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid-cursor")


BAD_QUERIES = [
    ("/v1/customers/nobody", 404, "customer-not-found"),
    ("/v1/orders/nothing", 404, "order-not-found"),
    ("/v1/customers?limit=x", 422, "invalid"),
    ("/v1/customers?sort=age", 422, "invalid"),
    ("/v1/customers?search=%00", 422, "invalid"),
    ("/v1/customers?cursor=x", 400, "invalid-cursor"),
    ("/v1/customers/a%00b", 422, "invalid"),
    ("/v1/statistics/sales?by=year", 422, "invalid"),
    ("/v1/statistics/sales?from=yesterday", 422, "invalid"),
    ("/v1/views/ghosts", 404, "view-not-found"),
]


async def test_bad_query_is_a_problem(service: Service) -> None:
    for path, status, code in BAD_QUERIES:
        reply = await service.http.get(path)

        assert (reply.status_code, reply.json().get("code")) == (status, code), (path, reply.text)
        assert reply.headers["Content-Type"] == "application/problem+json"


async def test_answer_that_there_is_nothing_has_a_token_too(service: Service, key: str) -> None:
    """Otherwise a caller might see a customer, nothing, and the customer again."""
    receipt = await service.register(key)
    sent = {"Consistency-Token": receipt}

    for path in ["/v1/customers/nobody", "/v1/orders/nothing", "/v1/customers/nobody?as_of_version=1"]:
        reply = await service.http.get(path, headers=sent)

        assert reply.status_code == 404
        seen = service.tokens.decode(reply.headers["Consistency-Token"])
        assert all(seen[each].position >= mark.position for each, mark in service.tokens.decode(receipt).items()), path


async def test_wrong_parameter_is_pointed_at(service: Service) -> None:
    reply = await service.http.get("/v1/statistics/sales?from=yesterday&to=tomorrow")

    assert [error["pointer"] for error in reply.json()["errors"]] == ["/from", "/to"]
