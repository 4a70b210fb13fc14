"""The settings of a service: read once from the environment, then passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.database_address import place_of


class Settings(BaseSettings):
    """Each field is `RAYLEANS_` and its name in capitals in the environment.

    Attributes:
        events_url, views_url: PostgreSQL databases; None = of an embedded server in the data directory.
        domain: `module:attribute` of what is served.
        data: directory of everything that is this service's own.
        auth_jwks_url, auth_issuer, auth_audience: whose tokens are accepted; None = those of the local key.
        allowed_hosts: names, with commas between them, that requests may call the service by, beside those of
            this machine and the address it listens on.
        rate_per_s: requests of one subject that one gateway takes each second.
    """

    model_config = SettingsConfigDict(env_prefix="RAYLEANS_", frozen=True, extra="ignore")

    events_url: str | None = None
    views_url: str | None = None
    domain: str = "projections.standard:STANDARD"
    data: Path = Path(".rayleans")
    auth_jwks_url: str | None = None
    auth_issuer: str | None = None
    auth_audience: str | None = None
    allowed_hosts: str = ""
    rate_per_s: float = Field(default=10_000.0, gt=0, allow_inf_nan=False, description="a number greater than 0")

    @property
    def hosts(self) -> list[str]:
        """The names in `allowed_hosts`, in small letters."""
        return [host.strip().lower() for host in self.allowed_hosts.split(",") if host.strip()]

    @property
    def has_own_identity_provider(self) -> bool:
        """Whether tokens come from somewhere else than the local key."""
        return self.auth_jwks_url is not None


class SettingsError(Exception):
    """Settings that cannot be used, or do not go together; the message says which and what to do."""


def read_settings(**given: Any) -> Settings:
    """The settings in the environment, but for those that are given.

    Raises:
        SettingsError: a variable has a value that its setting does not take.
    """
    try:
        return Settings(**given)
    except ValidationError as exc:
        wrong = [(str(error["loc"][0]), error["input"]) for error in exc.errors()]
        raise SettingsError(
            "; ".join(
                f"RAYLEANS_{name.upper()} is {value!r} and must be {Settings.model_fields[name].description}"
                for name, value in wrong
            )
        ) from exc


def check(settings: Settings) -> None:
    """Refuse settings that would half work.

    Raises:
        SettingsError: one of two databases, or one of three identity settings, is missing, a database has no
            address, or anybody on the way could change the keys of the identity provider.
    """
    if (settings.events_url is None) != (settings.views_url is None):
        raise SettingsError("set both RAYLEANS_EVENTS_URL and RAYLEANS_VIEWS_URL, or neither for an embedded server")
    for name, url in (("EVENTS", settings.events_url), ("VIEWS", settings.views_url)):
        if url is not None and not _is_database(url):
            raise SettingsError(
                f"RAYLEANS_{name}_URL is no address of a database; write it as "
                "postgresql://USER:PASSWORD@HOST:PORT/NAME, in a password %40 for @, %2F for /, %3F for ?, %23 for #"
            )
    identity = (settings.auth_jwks_url, settings.auth_issuer, settings.auth_audience)
    if any(identity) and not all(identity):
        raise SettingsError("set RAYLEANS_AUTH_JWKS_URL, RAYLEANS_AUTH_ISSUER and RAYLEANS_AUTH_AUDIENCE together")
    if settings.auth_jwks_url is not None and not _is_safe(settings.auth_jwks_url):
        raise SettingsError("RAYLEANS_AUTH_JWKS_URL must be https://…, or http:// of this machine")


def _is_database(url: str) -> bool:
    try:
        place_of(url)
    except ValueError:
        return False
    return True


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"})
