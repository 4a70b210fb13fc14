"""Operators steer projections of a running service with the command line."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance import serving
from tests.acceptance.serving import Served


def told(served: Served, *arguments: str) -> Any:
    done = serving.run(*arguments, "--output", "json", served=served)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_projections_are_listed_rebuilt_paused_and_verified(served: Served) -> None:
    served.http.post(
        "/v1/customers/steered/register", json={"name": "Alice", "email": "alice@example.com"}
    ).raise_for_status()

    items = told(served, "projections", "list")["items"]
    told(served, "projections", "rebuild", "customers")
    rebuilt = serving.patiently(lambda: served.http.get("/v1/admin/projections/customers"), 60, until=200)
    while rebuilt.json()["rebuild"] is not None or rebuilt.json()["state"] != "running":
        rebuilt = served.http.get("/v1/admin/projections/customers")
    shown = serving.run("projections", "show", "customers", served=served)
    paused = told(served, "projections", "pause", "customers")
    resumed = told(served, "projections", "resume", "customers")
    audits = told(served, "verify", "views", "--data", str(served.data))["items"]

    assert [item["name"] for item in items] == ["customers", "orders", "customer_orders", "sales"]
    assert (rebuilt.json()["version"], rebuilt.json()["kept"]) == (2, 1)
    assert "0 events" in shown.stdout, shown.stderr
    assert (paused["state"], resumed["state"]) == ("paused", "running")
    assert [audit["difference"] for audit in audits] == [None] * 4
    assert told(served, "projections", "parked", "list", "customers") == {"items": []}
    nothing = serving.run("projections", "parked", "skip", "customers", "7", served=served)
    assert nothing.returncode == 3, nothing.stderr
