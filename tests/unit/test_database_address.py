"""What is told of the address of a database."""

from __future__ import annotations

import pytest

from gateway.database_address import place_of
from gateway.settings import SettingsError, check, read_settings


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://ada:secret@db.example.com:5433/events", "db.example.com:5433"),
        ("postgres://ada:se@cret@one:1,two:2/events", "one:1,two:2"),
        ("postgresql://ada@[::1]:5432/events", "[::1]:5432"),
        ("postgresql://localhost/events?user=ada@example.com&password=secret", "localhost"),
        ("postgresql:///events?host=/run/postgres&user=ada@example.com", "/run/postgres"),
        ("postgresql://ada:secret@%2Frun%2Fpostgres/events", "/run/postgres"),
        ("postgresql:///events", "this machine"),
    ],
)
def test_hosts_are_told_and_nothing_else(url: str, place: str) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://ada:secret@host/events",
        "postgresql://ada:secret/word@host/events",
        "postgresql://ada:secret?word@host/events",
        "postgresql://ada:secret#word@host/events",
        "postgresql://ada:secret/events",
        "postgresql://ada:[secret@host/events",
    ],
)
def test_what_is_no_address_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(SettingsError, match="RAYLEANS_VIEWS_URL is no address of a database") as refused:
        check(read_settings(events_url="postgresql:///events", views_url=url))

    assert "secret" not in str(refused.value)
    assert "write it as postgresql://" in str(refused.value)
