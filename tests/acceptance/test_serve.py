from __future__ import annotations

import json
import subprocess
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from gateway.http.free_port import free_port
from tests.acceptance import serving
from tests.acceptance.serving import Served

PYTHON_CLIENT = """
import asyncio
from actors import connect
from actors.domain.customer import CUSTOMER, Register, Rename
from actors.errors import CommandIdReused, Rejected, WrongExpectedVersion
from actors.runtime.ray_actors import ray

def complain():  # to all who are connected, as a node does
    heard = ray._raylet.GcsErrorSubscriber(address=ray.get_runtime_context().gcs_address)
    heard.subscribe()
    ray._private.utils.publish_error_to_driver("node", "complaint", ray._private.worker.global_worker.gcs_client)
    while heard.poll()[1]["error_message"] != "complaint":
        pass

async def main():
    async with connect() as client:
        complain()
        alice = client.actor(CUSTOMER, "{key}")
        receipt = await alice.execute(Register(name="Alice", email="alice@example.com"))
        renamed = await alice.execute(Rename(name="Alice Smith"), expected_version=receipt.version)
        again = await alice.execute(Rename(name="Alice Smith"), command_id=renamed.command_id)
        assert (again.version, again.replayed, again.events) == (renamed.version, True, renamed.events)
        for wrong, error in (
            (alice.execute(Register(name="Alice", email="alice@example.com")), Rejected),
            (alice.execute(Rename(name="A"), expected_version=7), WrongExpectedVersion),
            (alice.execute(Rename(name="A"), command_id=renamed.command_id), CommandIdReused),
        ):
            try:
                await wrong
            except error:
                continue
            raise AssertionError(error)
        print(renamed.token)

asyncio.run(main())
"""


def test_command_from_python_is_seen_over_http(served: Served) -> None:
    key = uuid4().hex
    done = served.run_python(PYTHON_CLIENT.replace("{key}", key))
    assert done.returncode == 0, done.stderr

    reply = served.http.get(f"/v1/customers/{key}", headers={"Consistency-Token": done.stdout.strip()})

    assert (reply.status_code, reply.json()["name"]) == (200, "Alice Smith")


def test_import_goes_through_the_death_of_every_kind_of_actor(served: Served, tmp_path: Path) -> None:
    file, customers, orders = tmp_path / "purchases.jsonl", 300, 1500
    file.write_text("".join(_purchases(customers, orders)))
    before = _sales(served)
    importing: list[subprocess.CompletedProcess[str]] = []
    work = Thread(target=lambda: importing.append(serving.run("import", str(file), "--output", "json", served=served)))
    work.start()
    for kind in ("Silo", "Projection", "Gateway"):
        (victim, *_) = served.actors(kind)
        seen = _customers(served)
        victim.kill()
        victim.wait()
        serving.patiently(lambda: served.http.get("/readyz"), within_s=20)
        assert _customers(served) >= seen
    work.join()

    assert importing[0].returncode == 0, importing[0].stderr
    assert json.loads(importing[0].stdout)["done"] == customers + 3 * orders
    token = served.http.post("/v1/customers/last/register", json={"name": "L", "email": "l@example.com"}).json()[
        "token"
    ]
    after = _sales(served, token)
    assert (after[0] - before[0], after[1] - before[1]) == (orders, 250 * orders)

    again = json.loads(serving.run("import", str(file), "--output", "json", served=served).stdout)
    assert again == {"done": customers + 3 * orders, "replayed": customers + 3 * orders, "refused": []}
    assert _sales(served) == after


def test_second_service_in_the_same_directory_is_refused(served: Served) -> None:
    second = serving.run("serve", "--data", str(served.data), "--port", str(free_port()))

    assert second.returncode == 1
    assert f"in use by process {served.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_second_service_on_the_same_port_is_refused(served: Served, tmp_path: Path) -> None:
    second = serving.run("serve", "--data", str(tmp_path), "--port", served.url.rpartition(":")[2])

    assert second.returncode == 2
    assert "Address already in use" in second.stderr


def test_status_says_that_it_works(served: Served) -> None:
    status = serving.run("status", "--output", "json", served=served)

    assert status.returncode == 0
    found = json.loads(status.stdout)
    assert (found["ready"], found["reasons"], found["url"].rstrip("/")) == (True, [], served.url)


def test_command_line_shows_what_is_what_was_and_what_happens(served: Served) -> None:
    body = {"name": "Cleo", "email": "cleo@example.com"}
    served.http.post("/v1/customers/cleo/register", json=body).raise_for_status()
    renamed = served.http.post("/v1/customers/cleo/rename", json={"name": "Cleo B"})
    token = {"Consistency-Token": renamed.headers["Consistency-Token"]}
    served.http.get("/v1/customers/cleo", headers=token).raise_for_status()

    now = serving.run("customer", "show", "cleo", "--output", "json", served=served)
    then = serving.run("customer", "show", "cleo", "--as-of-version", "1", "--output", "json", served=served)
    history = serving.run("customer", "history", "cleo", "--output", "json", served=served)
    types = ("--type", "CustomerRegistered", "--type", "CustomerRenamed")
    tail = serving.run("events", "tail", "--from", "start", *types, "--limit", "1", "--output", "json", served=served)
    nobody = serving.run("order", "show", "nothing", served=served)
    nonsense = serving.run("events", "tail", "--last-id", "x", served=served)

    assert (json.loads(now.stdout)["name"], json.loads(then.stdout)["name"]) == ("Cleo B", "Cleo"), now.stderr
    assert [item["type"] for item in json.loads(history.stdout)["items"]] == ["CustomerRegistered", "CustomerRenamed"]
    assert json.loads(tail.stdout)["type"] in types, tail.stderr
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert (nonsense.returncode, nonsense.stdout) == (1, "")


def test_minted_token_allows_its_scope_and_no_other(served: Served) -> None:
    minted = serving.run(
        "token", "--scope", "queries:read", "--subject", "bob", "--expires", "5m", "--data", str(served.data)
    )
    headers = {"Authorization": f"Bearer {minted.stdout.strip()}"}

    assert served.http.get("/v1/customers", headers=headers).status_code == 200
    assert served.http.post("/v1/orders/x/place", headers=headers).status_code == 403


def test_token_file_is_for_its_owner_only(served: Served) -> None:
    for name in ("token", "signing-key.pem"):
        assert (served.data / name).stat().st_mode & 0o777 == 0o600


def test_bad_file_is_not_imported_at_all(served: Served, tmp_path: Path) -> None:
    file, key = tmp_path / "bad.jsonl", uuid4().hex
    good = {"actor": "customer", "id": key, "command": "register", "data": {"name": "A", "email": "a@example.com"}}
    file.write_text(f"{json.dumps(good)}\n{{\n")

    done = serving.run("import", str(file), served=served)

    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert served.http.get(f"/v1/customers/{key}").status_code == 404


def test_refused_lines_are_listed(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "refused.jsonl"
    file.write_text(json.dumps({"actor": "customer", "id": uuid4().hex, "command": "reactivate"}) + "\n")

    done = serving.run("import", str(file), served=served)

    assert done.returncode == 4
    assert "line 1: 404 customer-not-registered" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("status", "--url", "http://127.0.0.1:1"), 6),
        (("token", "--scope", "everything", "--subject", "bob"), 2),
        (("token", "--scope", "admin", "--subject", "bob", "--data", "/nonexistent"), 1),
        (("import", "/nonexistent.jsonl"), 2),
        (("serve", "--host", "0.0.0.0"), 2),  # noqa: S104 - that is what must be refused
        (("frobnicate",), 2),
    ],
)
def test_what_cannot_work_says_why(served: Served, arguments: tuple[str, ...], exit_code: int) -> None:
    done = serving.run(*arguments, served=served if arguments[0] == "status" else None)

    assert done.returncode == exit_code, done.stderr
    assert done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr


def _purchases(customers: int, orders: int) -> list[str]:
    lines = [
        {
            "actor": "customer",
            "id": f"p{number}",
            "command": "register",
            "data": {"name": f"Customer {number}", "email": f"p{number}@example.com"},
        }
        for number in range(customers)
    ]
    for number in range(orders):
        order = {"actor": "order", "id": f"p{number}"}
        bought = [{"sku": "cd", "quantity": 1, "unit_price": 250}]
        data = {"customer_id": f"p{number % customers}", "currency": "USD", "lines": bought}
        lines += [
            {**order, "command": "create", "data": data},
            {**order, "command": "place"},
            {**order, "command": "ship"},
        ]
    return [f"{json.dumps(line)}\n" for line in lines]


def _customers(served: Served) -> int:
    counts = serving.patiently(lambda: served.http.get("/v1/statistics/customers"), within_s=20).json()
    return int(counts["active"])


def _sales(served: Served, token: str | None = None) -> tuple[int, int]:
    headers = {"Consistency-Token": token} if token else {}
    url = "/v1/statistics/sales?by=day"
    items = serving.patiently(lambda: served.http.get(url, headers=headers), within_s=20).json()["items"]
    return sum(item["orders"] for item in items), sum(item["total"] for item in items)
