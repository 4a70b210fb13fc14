"""Row H10 of the checklist: an identity provider that sends something else than it should."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.access import jwks
from gateway.access.jwks import provider_verifier
from gateway.access.token_verifier import Unauthenticated
from tests.identity_provider import AUDIENCE, ISSUER, Provider
from tests.listening import listening

SET = b'{"keys": []}'
ANSWERS = {
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "error": b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n%s" % (len(SET), SET),
    "page": b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
    "endless": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 10_000_000 + SET,
    "bomb": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + SET,
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + SET,
    "no HTTP": b"\x16\x03\x01\x02",
    "silence": b"",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_h10_answer_that_is_no_set_of_keys_opens_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_S", 1.0 if name == "silence" else 30.0)
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
            writer.write(ANSWERS[name])
            await (reader.read() if name == "silence" else writer.drain())

    provider = Provider()
    provider.publish("k1")
    async with listening(answer) as port:
        url = f"http://127.0.0.1:{port}/keys"
        with pytest.raises(Unauthenticated):
            await provider_verifier(url, ISSUER, AUDIENCE).verify(provider.sign("k1"))
    assert set(asked) == {b"/keys"}
