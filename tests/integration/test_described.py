"""The API is as it is described; `tests/acceptance/test_described.py` is the long form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.access.auth import TOKEN_SCOPES
from tests.described.run import cases_without_failure
from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

# One function makes several routes; one of each such family speaks for the others.
LIKE_OTHERS = [
    *("customer-change-email", "customer-change-credit-limit", "customer-deactivate", "customer-reactivate"),
    *("order-remove-line", "order-cancel", "order-ship", "order-history"),
    *("accept", "take-back", "drop-kept", "resume", "rebuild", "park-event", "retry-event"),
]


@pytest.mark.timeout(240)
async def test_api_is_as_it_is_described(service: Service, tmp_path: Path) -> None:
    url, token = str(service.http.base_url).rstrip("/"), service.token(*TOKEN_SCOPES)
    arguments = ["--phases", "examples,coverage", "--max-examples", "1"]
    for operation in LIKE_OTHERS:
        arguments += ["--exclude-operation-id", operation]
    assert await asyncio.to_thread(cases_without_failure, url, token, tmp_path, *arguments) > 500


async def test_every_refusal_is_described_as_a_problem(service: Service) -> None:
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    answers = [
        answer
        for path in paths.values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
    ]
    assert {tuple(answer["content"]) for answer in answers} == {("application/problem+json",)}
