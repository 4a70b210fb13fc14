from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.access.sign_in import CODE_LIFETIME, SignInCodes
from projections.standard import STANDARD
from tests.integration.service import Service, running_service


@pytest.fixture
async def service(views_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(STANDARD, views_url, tmp_path) as service:
        yield service


async def test_every_address_below_the_console_is_the_page(service: Service) -> None:
    page = await service.http.get("/console", headers={"Authorization": ""})
    deep = await service.http.get("/console/customers/alice", headers={"Authorization": ""})

    assert page.status_code == deep.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.content == deep.content


async def test_b4_page_needs_nothing_from_elsewhere_and_has_no_code_in_it(service: Service) -> None:
    page = await service.http.get("/console")
    policy = page.headers["Content-Security-Policy"]

    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'; base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|\son\w+=|https?://|<script(?! type=\"module\" src=\"/)", page.text)


async def test_files_are_sent_again_only_when_they_have_changed(service: Service) -> None:
    script = await service.http.get("/console/files/screens/customers.js")
    again = await service.http.get(
        "/console/files/screens/customers.js", headers={"If-None-Match": script.headers["ETag"]}
    )

    assert script.headers["Content-Type"].startswith("text/javascript")
    assert again.status_code == 304
    assert (await service.http.get("/console/files/..%2fsign_in.py")).status_code == 404
    assert (await service.http.get("/console/files/nothing.js")).status_code == 404


async def test_files_that_the_page_names_are_kept_until_it_names_others(service: Service) -> None:
    page = (await service.http.get("/console")).text
    (main,) = re.findall(r'<script type="module" src="([^"]+)"', page)
    modules = re.findall(r'<link rel="modulepreload" href="([^"]+)"', page)

    assert main in modules
    assert len(modules) == len(set(modules)) > 30
    for address in modules:
        reply = await service.http.get(address, headers={"Authorization": ""})
        assert (reply.status_code, reply.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    of_another_release = re.sub(r"/files/\w+/", "/files/0123456789ab/", main)
    assert (await service.http.get(of_another_release)).status_code == 404
    assert (await service.http.get("/console/files/main.js")).headers["Cache-Control"] == "no-cache"


async def test_code_is_exchanged_once(service: Service, tmp_path: Path) -> None:
    code = SignInCodes(tmp_path).make(service.key)

    first = await service.http.post("/console/sign-in", json={"code": code})
    second = await service.http.post("/console/sign-in", json={"code": code})

    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-store")
    authorization = {"Authorization": f"Bearer {first.json()['token']}"}
    assert (await service.http.get("/v1/customers", headers=authorization)).status_code == 200
    assert (second.status_code, second.json()["code"]) == (401, "unauthenticated")


async def test_code_that_was_never_made_opens_nothing(service: Service) -> None:
    for code in (b"", b"guess", b"../token", b"\\u00e9", b"\\ud800", b"\\u0000"):
        reply = await service.http.post(
            "/console/sign-in", content=b'{"code": "%s"}' % code, headers={"Content-Type": "application/json"}
        )
        assert reply.status_code in {400, 401, 422}, code


async def test_code_is_good_for_an_hour(service: Service, tmp_path: Path) -> None:
    codes = SignInCodes(tmp_path)
    code = codes.make(service.key)
    (stored,) = (tmp_path / "sign-in").iterdir()
    assert code not in stored.name + stored.read_text()
    assert stored.stat().st_mode & 0o777 == 0o600
    made = stored.stat().st_mtime
    os.utime(stored, (made, made - CODE_LIFETIME.total_seconds()))

    assert (await service.http.post("/console/sign-in", json={"code": code})).status_code == 401

    os.utime(tmp_path / "sign-in")
    old = codes.make(service.key)
    (stored,) = (tmp_path / "sign-in").iterdir()
    os.utime(stored, (made, made - CODE_LIFETIME.total_seconds() - 10))
    codes.make(service.key)
    assert codes.redeem(old) is None
    assert len(list((tmp_path / "sign-in").iterdir())) == 1


async def test_command_is_found_by_its_id_and_by_its_key(service: Service) -> None:
    body = {"name": "Alice", "email": "alice@example.com"}
    receipt = await service.http.post("/v1/customers/alice/register", json=body, headers={"Idempotency-Key": "k1"})
    command_id = receipt.json()["command_id"]

    by_id = await service.http.get(f"/v1/commands/{command_id}")
    by_key = await service.http.get("/v1/commands/by-key?key=k1")

    found = by_id.json()
    assert by_key.json() == found
    assert (found["actor"], found["collection"], found["id"]) == ("customer", "customers", "alice")
    assert (found["command"], found["data"], found["version"]) == ("register", body, 1)
    (event,) = found["events"]
    assert (event["type"], event["by"], event["command_id"]) == ("CustomerRegistered", "bob", command_id)
    assert by_id.headers["Consistency-Token"]


async def test_command_that_left_nothing_is_not_found(service: Service) -> None:
    refused = await service.http.post("/v1/customers/nobody/reactivate", headers={"Idempotency-Key": "k2"})
    assert refused.status_code == 404

    for path in ("/v1/commands/by-key?key=k2", "/v1/commands/0192f0c1-2f3e-7abc-8def-0123456789ab"):
        reply = await service.http.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "command-not-found")


async def test_key_of_somebody_else_is_another_key(service: Service) -> None:
    body = {"name": "Alice", "email": "alice@example.com"}
    await service.http.post("/v1/customers/alice/register", json=body, headers={"Idempotency-Key": "k1"})

    assert (await service.http.get("/v1/commands/by-key?key=k1&by=bob")).status_code == 200
    assert (await service.http.get("/v1/commands/by-key?key=k1&by=eve")).status_code == 404
