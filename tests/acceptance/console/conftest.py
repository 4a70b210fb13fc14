from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.acceptance.console.browser import WAIT_MS, Visit, installed, launch, visiting
from tests.acceptance.serving import Served

MARKUP = "<img src=x onerror=alert(1)>"
SCRIPT = "javascript:alert(2)"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = installed()
    if program is None:
        pytest.skip("there is no Chromium on this machine; `apt-get install chromium` brings one")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = launch(playwright, program)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shop(served: Served) -> Served:
    """The service with some customers and orders, one of whom is up to no good."""
    people = ["Ada Lovelace", "Barbara Liskov", "Edsger Dijkstra", "Frances Allen", "Grace Hopper", "Tony Hoare"]
    lines = [_customer(f"shop-{number}", f"{people[number % 6]} {number}") for number in range(60)]
    for number in range(24):
        order = {"actor": "order", "id": f"shop-{number}"}
        bought = [{"sku": f"CD-{number % 7}", "quantity": 1 + number % 3, "unit_price": 900 + 50 * number}]
        when = f"2026-{1 + number % 9:02}-15T12:00:00Z"
        data = {"customer_id": f"shop-{number % 6}", "currency": "USD", "lines": bought, "ordered_at": when}
        lines += [{**order, "command": "create", "data": data}, {**order, "command": "place", "data": {}}]
    lines += [
        _command("customer", "shop-0", "rename", name="Ada King"),
        _command("customer", "shop-0", "change-credit-limit", credit_limit=200_000),
        _command("customer", "shop-0", "deactivate", reason="on leave"),
        _command("customer", "shop-0", "reactivate"),
        _customer("shop-evil", MARKUP),
        _command("customer", "shop-evil", "deactivate", reason=SCRIPT),
    ]
    body = "".join(f"{json.dumps(line)}\n" for line in lines)
    reply = served.http.post("/v1/commands", content=body, headers={"Content-Type": "application/x-ndjson"})
    last = [json.loads(line) for line in reply.text.splitlines()][-1]
    seen = served.http.get("/v1/customers/shop-evil", headers={"Consistency-Token": last["token"]})
    assert seen.json()["status"] == "inactive", reply.text
    return served


@pytest.fixture(scope="package")
def operator(browser: Browser, shop: Served) -> Iterator[Visit]:
    """Somebody who signs in once, and stays for all tests."""
    with visiting(browser, shop) as visit:
        visit.sign_in()
        yield visit


@pytest.fixture
def visit(operator: Visit) -> Iterator[Visit]:
    """The visit of the operator, who must have seen no trouble afterwards."""
    yield operator
    assert operator.all_trouble() == []


@pytest.fixture
def newcomer(browser: Browser, shop: Served) -> Iterator[Visit]:
    """Somebody with a browser of his own, who has not signed in; he must have seen no trouble afterwards."""
    with visiting(browser, shop) as visit:
        yield visit
        assert visit.all_trouble() == []


def _customer(key: str, name: str) -> dict[str, object]:
    return _command("customer", key, "register", name=name, email=f"{key}@example.com", credit_limit=50_000)


def _command(actor: str, key: str, command: str, **data: object) -> dict[str, object]:
    return {"actor": actor, "id": key, "command": command, "data": data}
