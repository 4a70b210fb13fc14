"""Any port: what kernels give to outgoing connections, and what somebody has, is none."""

from __future__ import annotations

import socket

import pytest

from gateway.http.free_port import PORTS, free_port

# Where Linux begins unless it is told otherwise.
FIRST_OF_OUTGOING_CONNECTIONS = 32_768


def test_port_is_one_that_no_outgoing_connection_is_given() -> None:
    assert max(PORTS) < FIRST_OF_OUTGOING_CONNECTIONS
    assert free_port() in PORTS


def test_port_is_one_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        taken = free_port()
        other.bind(("127.0.0.1", taken))
        free = free_port()
        monkeypatch.setattr("gateway.http.free_port.PORTS", (taken, free))

        assert {free_port() for _ in range(20)} == {free}
