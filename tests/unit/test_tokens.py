"""Rows J1 to J10 of the checklist for tokens, each test named after its row."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.access.auth import bearer_token
from gateway.access.jwks import RETRY_S, TTL_S, Jwks
from gateway.access.token_verifier import REMEMBERED_TOKENS, Caller, TokenVerifier, Unauthenticated
from tests.identity_provider import AUDIENCE, ISSUER, NOW, Clock, Provider


@pytest.fixture
def provider() -> Provider:
    provider = Provider()
    provider.publish("k1")
    return provider


@pytest.fixture
def wall() -> Clock:
    """The clock that people set."""
    return Clock(NOW)


@pytest.fixture
def steady() -> Clock:
    """The clock that only goes forward."""
    return Clock(1_000.0)


@pytest.fixture
def verifier(provider: Provider, wall: Clock, steady: Clock) -> TokenVerifier:
    return TokenVerifier(Jwks(provider.fetch, now=steady), ISSUER, AUDIENCE, longest_lifetime_s=86_400, now=wall)


async def refused(verifier: TokenVerifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except Unauthenticated:
        return True
    return False


async def test_good_token_names_its_caller(verifier: TokenVerifier, provider: Provider) -> None:
    caller = await verifier.verify(provider.sign("k1"))

    assert caller == Caller("alice", "shop", frozenset({"queries:read"}), NOW + 600)


async def test_j1_public_key_is_no_shared_secret(verifier: TokenVerifier, provider: Provider) -> None:
    public = provider.private["k1"].public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(provider.entries[0]).encode(),
        json.dumps({"keys": provider.entries}).encode(),
        b"",
    ]
    for secret in secrets:
        for digest in ("sha256", "sha512"):
            assert await refused(verifier, _hmac(secret, digest))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS256", "ES256K", 7])
async def test_j1_algorithm_outside_the_list_is_refused(verifier: TokenVerifier, algorithm: Any) -> None:
    header = {"alg": algorithm, "kid": "k1", "typ": "at+jwt"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "scope": "admin", "iat": NOW, "exp": NOW + 60}
    for signature in ("", "AA"):
        assert await refused(verifier, f"{_part(header)}.{_part(claims)}.{signature}")


async def test_j1_empty_signature_is_refused(verifier: TokenVerifier, provider: Provider) -> None:
    assert await refused(verifier, provider.sign("k1").rpartition(".")[0] + ".")


def test_j2_pyjwt_knows_the_attacks_of_this_year() -> None:
    assert tuple(map(int, version("pyjwt").split(".")[:2])) >= (2, 14)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"iss": f"{ISSUER}/"},
        {"iss": [ISSUER]},
        {"aud": None},
        {"aud": "another"},
        {"aud": []},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "half of a character: \ud800"},
        {"sub": "a\x00b"},
        {"client_id": "\udfff"},
        {"exp": None},
        {"exp": NOW - 31},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": NOW + 86_401},
        {"iat": None},
        {"iat": NOW + 31},
        {"nbf": NOW + 31},
        {"nbf": "soon"},
        {"nonce": "n"},
        {"at_hash": "h"},
    ],
    ids=str,
)
async def test_j3_wrong_claim_is_refused(verifier: TokenVerifier, provider: Provider, claims: dict[str, Any]) -> None:
    assert await refused(verifier, provider.sign("k1", **claims))


@pytest.mark.parametrize(
    "claims", [{"aud": ["x", AUDIENCE]}, {"exp": NOW - 29}, {"nbf": NOW + 29}, {"iat": NOW + 29}], ids=str
)
async def test_j3_claim_within_the_leeway_is_accepted(
    verifier: TokenVerifier, provider: Provider, claims: dict[str, Any]
) -> None:
    assert not await refused(verifier, provider.sign("k1", **claims))


@pytest.mark.parametrize(("kind", "good"), [("AT+JWT", True), ("application/at+jwt", True), ("JWT", True), ("", True)])
async def test_j3_type_of_an_access_token(verifier: TokenVerifier, provider: Provider, kind: str, good: bool) -> None:
    assert await refused(verifier, provider.sign("k1", headers={"typ": kind})) is not good


@pytest.mark.parametrize("kind", ["id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt"])
async def test_j3_type_of_another_token_is_refused(verifier: TokenVerifier, provider: Provider, kind: str) -> None:
    assert await refused(verifier, provider.sign("k1", headers={"typ": kind}))


async def test_j4_unknown_key_ids_lead_to_one_fetch(verifier: TokenVerifier, provider: Provider, steady: Clock) -> None:
    provider.publish("k2")
    assert not await refused(verifier, provider.sign("k2"))
    strange = [provider.sign("k1", headers={"kid": f"random-{number}"}) for number in range(200)]

    for _ in range(2):
        steady.at += RETRY_S
        before = provider.fetched
        assert all(await asyncio.gather(*(refused(verifier, token) for token in strange)))
        assert provider.fetched == before + 1


@pytest.mark.parametrize(
    "members",
    [{"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ES384"}, {"kty": "oct", "k": "c2VjcmV0"}, {"crv": "P-384"}],
    ids=str,
)
async def test_j4_key_for_something_else_is_refused(
    verifier: TokenVerifier, provider: Provider, members: dict[str, Any]
) -> None:
    provider.publish("other", **members)

    assert await refused(verifier, provider.sign("other"))
    assert not await refused(verifier, provider.sign("k1"))


@pytest.mark.parametrize("algorithm", ["RS256", "PS512"])
async def test_j4_rsa_key_serves_the_algorithms_of_its_kind(
    verifier: TokenVerifier, provider: Provider, algorithm: str
) -> None:
    provider.publish("r1", rsa.generate_private_key(public_exponent=65537, key_size=2048))

    assert not await refused(verifier, provider.sign("r1", algorithm=algorithm))


async def test_j5_known_keys_work_while_the_provider_is_away(
    verifier: TokenVerifier, provider: Provider, steady: Clock
) -> None:
    assert not await refused(verifier, provider.sign("k1"))
    provider.publish("k2")
    provider.away = True

    for number in range(20):
        steady.at += RETRY_S
        assert not await refused(verifier, provider.sign("k1", jti=str(number)))
        assert await refused(verifier, provider.sign("k2"))
    provider.away = False
    steady.at += RETRY_S
    assert not await refused(verifier, provider.sign("k2"))


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"{}", b'{"keys": 7}', b"[" * 100_000, b"\xff", b'{"keys": [7, {"kid": 1}]}']
)
async def test_j5_nonsense_is_no_set_of_keys(
    verifier: TokenVerifier, provider: Provider, steady: Clock, answer: bytes
) -> None:
    provider.answer = answer
    assert await refused(verifier, provider.sign("k1"))

    provider.answer = None
    steady.at += RETRY_S
    assert not await refused(verifier, provider.sign("k1"))


async def test_j6_rotation_refuses_no_good_token_and_ends_the_old_key_in_time(
    verifier: TokenVerifier, provider: Provider, steady: Clock
) -> None:
    old = provider.sign("k1")
    assert not await refused(verifier, old)
    steady.at += RETRY_S
    provider.publish("k2")
    new = provider.sign("k2")
    assert not await refused(verifier, new)
    assert not await refused(verifier, old)

    provider.withdraw("k1")
    steady.at += TTL_S
    assert await refused(verifier, old)
    assert not await refused(verifier, new)


async def test_j6_key_replaced_under_its_name_is_another_key(
    verifier: TokenVerifier, provider: Provider, steady: Clock
) -> None:
    old = provider.sign("k1")
    assert not await refused(verifier, old)
    provider.withdraw("k1")
    provider.publish("k1", ec.generate_private_key(ec.SECP256R1()))
    steady.at += TTL_S

    assert await refused(verifier, old)
    assert not await refused(verifier, provider.sign("k1"))


async def test_j6_set_is_fetched_again_beside_the_requests(
    verifier: TokenVerifier, provider: Provider, steady: Clock
) -> None:
    token = provider.sign("k1")
    for _ in range(30):
        assert not await refused(verifier, token)
        await asyncio.sleep(0)
        steady.at += TTL_S / 10

    assert provider.fetched == 4


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Bearer a", "Bearer a"],
        ["Bearer"],
        ["Bearer "],
        ["Bearer a b"],
        ["Bearer a,b"],
        ["Bearer\ta"],
        ["Basic a"],
        ["a"],
        ["Bearera"],
        ["Bearer a "],
        ["Bearer é"],
    ],
)
def test_j8_odd_authorization_is_refused(headers: list[str]) -> None:
    with pytest.raises(Unauthenticated):
        bearer_token(headers)


@pytest.mark.parametrize("header", ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER  a.b-c_d"])
def test_j8_scheme_in_any_case_is_accepted(header: str) -> None:
    assert bearer_token([header]) == "a.b-c_d"


async def test_j9_token_is_refused_after_its_end_although_it_is_remembered(
    verifier: TokenVerifier, provider: Provider, wall: Clock
) -> None:
    token = provider.sign("k1", exp=NOW + 60)
    assert not await refused(verifier, token)

    wall.at = NOW + 89
    assert not await refused(verifier, token)
    wall.at = NOW + 91
    assert await refused(verifier, token)


@pytest.mark.parametrize("jump", [-3_600.0, 3_600.0])
async def test_j10_clock_that_jumps_closes_the_door(
    verifier: TokenVerifier, provider: Provider, wall: Clock, jump: float
) -> None:
    token = provider.sign("k1")
    assert not await refused(verifier, token)

    wall.at += jump
    assert await refused(verifier, token)
    wall.at = NOW
    assert not await refused(verifier, token)


async def test_only_so_many_tokens_are_remembered(provider: Provider, wall: Clock) -> None:
    verifier = TokenVerifier(Jwks(provider.fetch), ISSUER, AUDIENCE, now=wall)
    for number in range(REMEMBERED_TOKENS + 10):
        await verifier.verify(provider.sign("k1", jti=str(number)))

    assert len(verifier._known) == REMEMBERED_TOKENS


@pytest.mark.parametrize("change", [lambda token: token[:-2], lambda token: token + "A" * 9_000, lambda _: "a.b.c"])
async def test_broken_token_is_refused(
    verifier: TokenVerifier, provider: Provider, change: Callable[[str], str]
) -> None:
    assert await refused(verifier, change(provider.sign("k1")))


async def test_h7_address_in_a_token_is_never_asked(verifier: TokenVerifier, provider: Provider) -> None:
    stranger = Provider()
    stranger.publish("k9")
    for header in ("jku", "x5u"):
        token = stranger.sign("k9", headers={header: "http://127.0.0.1:1/keys", "jwk": stranger.entries[0]})
        assert await refused(verifier, token)
    assert provider.fetched == 1


def _hmac(secret: bytes, digest: str) -> str:
    """A token signed with a shared secret, which PyJWT itself refuses to make of a public key."""
    header = {"alg": {"sha256": "HS256", "sha512": "HS512"}[digest], "kid": "k1", "typ": "at+jwt"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "scope": "admin", "iat": NOW, "exp": NOW + 60}
    signed = f"{_part(header)}.{_part(claims)}"
    signature = hmac.new(secret, signed.encode(), getattr(hashlib, digest)).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
