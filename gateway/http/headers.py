"""What request headers mean for a command or a query."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection

from actors.store.token import TokenCodec
from gateway.http.problems import BadRequest, invalid

LONGEST_WAIT_S = 60.0

_PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_VERSION = re.compile(r'"(\d{1,18})"')
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])', re.ASCII | re.IGNORECASE)

Connection = ASGIConnection[Any, Any, Any, Any]


def idempotency_key_of(connection: Connection) -> str | None:
    """The `Idempotency-Key` of a request; None without one."""
    sent = only(connection, "Idempotency-Key")
    return None if sent is None else idempotency_key(sent)


def idempotency_key(sent: str) -> str:
    """A key as it was sent: it may stand in quotes, as the IETF draft has it, or without. Raises `BadRequest`."""
    key = sent[1:-1] if len(sent) > 1 and sent[0] == sent[-1] == '"' else sent
    if _PRINTABLE.fullmatch(key) is None:
        raise _wrong("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
    return key


def command_id_of(key: str, subject: str, tokens: TokenCodec) -> UUID:
    """The id of every command that a caller sends under a key; others cannot send one under that id before."""
    return tokens.id_of(f"{subject}\n{key}")


def expected_version_of(connection: Connection) -> int | None:
    """The version that the actor must have: `If-Match: "2"` is 2, `If-None-Match: *` is 0, neither is None."""
    match, none_match = only(connection, "If-Match"), only(connection, "If-None-Match")
    if none_match is not None and none_match.strip() != "*":
        raise _wrong("If-None-Match", "must be * on a command: the actor must not exist")
    version = None if match is None else _VERSION.fullmatch(match.strip())
    if match is not None and version is None:
        raise _wrong("If-Match", 'must be one version in quotes, for example "2"')
    if version is not None and none_match is not None:
        raise BadRequest(412, "version-mismatch", "If-Match and If-None-Match: * cannot both be true; send one of them")
    if version is not None:
        return int(version[1])
    return None if none_match is None else 0


def wait_of(connection: Connection, default_s: float) -> float:
    """Seconds that the caller will wait: `Prefer: wait=5`, at most a minute."""
    wait = _WAIT.search(",".join(connection.headers.getall("Prefer", [])))
    return min(float(wait[1]), LONGEST_WAIT_S) if wait else default_s


def only(connection: Connection, header: str) -> str | None:
    """The value of a header; None without one. Raises `BadRequest` when there are two: which one counts is a guess."""
    values = connection.headers.getall(header, [])
    if len(values) > 1:
        raise _wrong(header, "must stand there once")
    return values[0] if values else None


def _wrong(header: str, detail: str) -> BadRequest:
    return invalid(f"the header {header} {detail}", f"/{header}")
