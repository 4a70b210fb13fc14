"""The API is as it is described; `tests/acceptance/test_described.py` is the long form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.auth import TOKEN_SCOPES
from projections.standard import STANDARD
from tests.described.run import cases_without_failure
from tests.integration.service import running_service


@pytest.mark.timeout(240)
async def test_api_is_as_it_is_described(views_url: str, tmp_path: Path) -> None:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        url, token = str(service.http.base_url).rstrip("/"), service.token(*TOKEN_SCOPES)
        phases = ("--phases", "examples,coverage", "--max-examples", "1")
        assert await asyncio.to_thread(cases_without_failure, url, token, tmp_path, *phases) > 500
