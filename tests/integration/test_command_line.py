"""What the command line says about a service that runs, and about what is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway.access.local_key import LocalKey, local_verifier
from gateway.cli import app
from gateway.remote.connection import CommandLineError
from gateway.remote.importer import import_lines, json_lines, read_lines
from gateway.remote.next_step import next_step
from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def environment(service: Service, server_url: str, tmp_path: Path) -> dict[str, str]:
    """Where the command line finds the service and a token with all scopes."""
    return environment_for(service, server_url, tmp_path)


def environment_for(service: Service, database: str, folder: Path) -> dict[str, str]:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(service.http.headers["Authorization"].removeprefix("Bearer "))
    return {
        "RAYLEANS_URL": str(service.http.base_url),
        "RAYLEANS_TOKEN_FILE": str(token),
        "RAYLEANS_DATA": str(folder),
        "RAYLEANS_EVENTS_URL": database,
        "RAYLEANS_VIEWS_URL": database,
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    # In a thread, because the service lives in the event loop of the tests.
    return lambda *arguments: asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)


async def test_every_problem_that_is_described_has_a_next_step(service: Service) -> None:
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    described = {int(status) for operation in operations for status in operation["responses"] if status >= "400"}

    assert [status for status in described | {405, 408} if not next_step(status, "")] == []
    assert len(described) > 10


async def test_error_names_the_problem_the_request_and_what_to_try_next(run: Run, service: Service) -> None:
    body = {"name": "Alice", "email": "alice@example.com"}
    receipt = await service.http.post("/v1/customers/alice/register", json=body)
    await service.http.get("/v1/customers/alice", headers={"Consistency-Token": receipt.json()["token"]})
    for arguments, exit_code, code, step in (
        ("customer show bob", 3, "customer-not-found", "rayleans console"),
        ("customer show alice --as-of-version 7", 3, "version-not-found", "rayleans customer history alice"),
        ("customer show alice --as-of yesterday", 4, "invalid", "the same with --help"),
        ("projections show nothing", 3, "projection-not-found", "rayleans projections"),
        ("projections parked retry sales 7", 3, "parked-event-not-found", "rayleans projections parked list sales"),
        ("projections rebuild sales --accept", 4, "not-possible", "rayleans projections show sales"),
    ):
        done = await run(*arguments.split())

        assert (done.exit_code, done.stdout) == (exit_code, ""), arguments
        problem, *_, tried = done.stderr.splitlines()
        assert f"({code}, request " in problem, done.stderr
        assert tried.startswith(f"try: {step}"), done.stderr


async def test_caller_without_the_scope_is_told_how_to_get_it(run: Run, service: Service, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(service.token("queries:read"))

    done = await run("projections", "pause", "sales")

    assert done.exit_code == 5
    assert "lacks the scope admin; use one that has it (insufficient-scope, request " in done.stderr
    assert "try: rayleans token --subject" in done.stderr


async def test_refused_lines_of_an_import_say_what_to_try_next(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "refused.jsonl"
    file.write_text('{"actor": "customer", "id": "bob", "command": "reactivate"}\n')

    done = await run("import", str(file))

    line, tried = done.stderr.splitlines()
    assert line.startswith("line 1: 404 customer-not-registered: ")
    assert "(request " in line
    assert tried == f"try: {next_step(404, 'customer-not-registered')}"
    assert done.exit_code == 4


async def test_import_that_stops_says_how_far_it_got_and_that_it_can_go_on(
    run: Run, service: Service, tmp_path: Path
) -> None:
    file, bad, reader = tmp_path / "some.jsonl", tmp_path / "bad", tmp_path / "reader"
    file.write_text("".join(f'{{"actor": "customer", "id": "c{n}", "command": "reactivate"}}\n' for n in range(20)))
    bad.write_text("none")
    reader.write_text(service.token("queries:read"))

    for options, exit_code, said, step in (
        (["--token-file", str(bad)], 5, "401: ", "rayleans token --subject"),
        (["--token-file", str(reader)], 5, "403: ", "rayleans token --subject"),
        (["--url", "http://127.0.0.1:1", "--patience", "1"], 6, "gave up after 1 s: ", "rayleans status"),
    ):
        done = await run("import", str(file), *options)

        problem, far, tried = done.stderr.splitlines()
        assert (done.exit_code, done.stdout) == (exit_code, ""), done.stderr
        assert problem.startswith(f"rayleans: {said}")
        assert far == "the import stopped there: 0 done, 0 refused; send the same file again, and it goes on"
        assert tried.startswith(f"try: {step}")


async def test_import_that_stopped_goes_on_with_the_same_file(run: Run, service: Service, tmp_path: Path) -> None:
    file, keys = tmp_path / "many.jsonl", [uuid4().hex for _ in range(600)]
    data = '{"name": "A", "email": "a@example.com"}'
    lines = [f'{{"actor": "customer", "id": "{key}", "command": "register", "data": {data}}}' for key in keys]
    file.write_text("\n".join(lines))
    batches = 0

    async def lets_one_in(request: httpx.Request) -> None:
        nonlocal batches
        batches += 1
        if batches > 1:
            request.headers["Authorization"] = "Bearer no token"

    async with httpx.AsyncClient(
        base_url=service.http.base_url, headers=service.http.headers, event_hooks={"request": [lets_one_in]}
    ) as http:
        rows = read_lines(json_lines(file))
        with pytest.raises(CommandLineError, match="stopped there: 500 done, 0 refused"):
            await import_lines(http, rows, concurrency=1, patience_s=5, progress=lambda *_: None)
    done = await run("import", str(file))

    assert done.stdout == "600 done, 500 of them before; 0 refused\n"


async def test_refused_line_of_an_import_names_the_field(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "refused.jsonl"
    file.write_text('{"actor": "customer", "id": "bob", "command": "rename", "data": {"name": 1}}\n')

    done = await run("import", str(file))

    assert "the body does not fit; /data/name: " in done.stderr


async def test_table_with_named_columns_is_imported_as_it_is(
    run: Run, service: Service, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "commands.csv"
    file.write_text(
        "actor,id,command,name,email,credit_limit,expected_version\n"
        f"customer,{key},register,Alice,alice@example.com,50000,\n"
        f"customer,{key},rename,42,,,1\n"
    )

    first, second = await run("import", str(file)), await run("import", str(file), "--concurrency", "8")

    assert (first.stdout, first.exit_code) == ("2 done, 0 of them before; 0 refused\n", 0)
    assert second.stdout == "2 done, 2 of them before; 0 refused\n"
    history = (await service.http.get(f"/v1/customers/{key}/history")).json()
    assert [each["data"] for each in history["items"]] == [
        {"name": "Alice", "email": "alice@example.com", "credit_limit": 50000},
        {"name": "42"},
    ]


async def test_table_with_other_columns_says_what_to_do(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("number,name\n1,Alice\n")
    unmapped, half = await run("import", str(file)), await run("import", str(file), "--map", "id=number")

    assert (unmapped.exit_code, unmapped.stdout) == (2, "")
    said, tried = unmapped.stderr.splitlines()
    assert said == f"rayleans: {file} has no column actor, command, id; it has number, name"
    assert tried.startswith("try: rayleans import --help")
    assert (half.exit_code, half.stdout) == (2, "")
    assert "say what the rows are: --actor customer" in half.stderr


async def test_values_are_shown_as_json_has_them(run: Run, service: Service, key: str) -> None:
    body = {"name": "Zoë", "email": "zoe@example.com"}
    (await service.http.post(f"/v1/customers/{key}/register", json=body)).raise_for_status()

    tail = await run("events", "tail", "--from", "start", "--type", "CustomerRegistered", "--limit", "1")
    status = await run("status")

    assert tail.stdout.endswith(', "credit_limit": null}\n')
    assert re.search(r"ready +│ true ", status.stdout)


async def test_mapping_for_a_table_is_refused_with_json_lines(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text('{"actor": "customer", "id": "bob", "command": "reactivate"}\n')

    done = await run("import", str(file), "--actor", "customer", "--map", "id=number")

    assert (done.exit_code, done.stdout) == (2, "")
    said, tried = done.stderr.splitlines()
    assert said == f"rayleans: --actor, --map: for CSV only; each line of {file} says what it is by itself"
    assert tried == "try: the same without, or a file that is called .csv"


async def test_table_shows_data_as_they_are(run: Run, service: Service, key: str) -> None:
    body = {"name": "[red]Rose[/wrong]", "email": "rose@example.com"}
    registered = await service.http.post(f"/v1/customers/{key}/register", json=body)
    await service.http.get(f"/v1/customers/{key}", headers={"Consistency-Token": registered.json()["token"]})

    shown, history = await run("customer", "show", key), await run("customer", "history", key)

    assert "[red]Rose[/wrong]" in shown.stdout
    assert '"[red]Rose[/wrong]"' in history.stdout


async def test_projections_are_listed_when_nothing_else_is_said(run: Run) -> None:
    listed, bare = await run("projections", "list", "--output", "json"), await run("projections", "--output", "json")
    items = [json.loads(each.stdout)["items"] for each in (listed, bare)]

    assert [each["name"] for each in items[0]] == [each["name"] for each in items[1]]
    assert len(items[0]) == 4
    assert "customers" in (await run("projections")).stdout
    # What stands before a command is never taken for it and then left out.
    lost = await run("projections", "--output", "json", "show", "customers")
    assert (lost.exit_code, lost.stdout) == (2, "")


async def test_token_is_made_for_a_pipe_or_as_json(run: Run, tmp_path: Path) -> None:
    verifier = local_verifier(LocalKey.make_or_load(tmp_path).public_pem)
    make = ("token", "--subject", "bob", "--scope", "queries:read")
    bare, as_json = await run(*make), await run(*make, "--output", "json")

    for token in (bare.stdout.strip(), json.loads(as_json.stdout)["token"]):
        assert (await verifier.verify(token)).subject == "bob"


@pytest.mark.parametrize("wrong", ["../orders/x", "", "a/history", "a?limit=1", "a b"])
@pytest.mark.parametrize("command", ["customer show", "customer history", "order show", "projections show"])
async def test_id_that_would_lead_elsewhere_is_wrong_usage(run: Run, command: str, wrong: str) -> None:
    done = await run(*command.split(), wrong)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{wrong!r} is no id: use 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -" in " ".join(done.stderr.split())


async def test_customer_may_be_called_dot(run: Run, service: Service) -> None:
    token = await service.register("%2E%2E")
    await service.http.get("/v1/customers/%2E%2E", headers={"Consistency-Token": token})

    shown, history = [await run("customer", what, "..", "--output", "json") for what in ("show", "history")]

    assert json.loads(shown.stdout)["id"] == ".."
    assert len(json.loads(history.stdout)["items"]) == 1


@pytest.mark.parametrize("wrong", ["abc", "0", "inf", ""])
@pytest.mark.parametrize(
    "command",
    ["serve", "console", "doctor", "verify log", "token --subject bob --scope admin", "status", "demo"],
)
async def test_setting_with_a_wrong_value_is_wrong_usage(
    run: Run, environment: dict[str, str], command: str, wrong: str
) -> None:
    del environment["RAYLEANS_TOKEN_FILE"]
    environment["RAYLEANS_RATE_PER_S"] = wrong
    done = await run(*command.split())

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"rayleans: RAYLEANS_RATE_PER_S is {wrong!r} and must be a number greater than 0\n"


@pytest.mark.parametrize("address", ["nonsense", "ftp://x", "http://127.0.0.1:port", "http://"])
@pytest.mark.parametrize("command", ["status", "doctor", "console"])
async def test_address_where_nothing_can_be_is_wrong_usage(run: Run, command: str, address: str) -> None:
    done = await run(command, "--url", address)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{address!r} is no address" in done.stderr


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", "Ä".encode(), b"two\nlines"])
async def test_file_without_a_token_is_told_as_such(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)

    done = await run("customer", "show", "alice")

    assert done.exit_code == 5
    assert done.stderr.startswith(f"rayleans: there is no token in {tmp_path / 'token'}\ntry: ")


@pytest.mark.parametrize(
    ("subject", "scope", "expires"), [("", "admin", "1h"), ("bob", " ", "1h"), ("bob", "admin", "0h")]
)
async def test_token_that_nobody_could_use_is_wrong_usage(
    run: Run, tmp_path: Path, subject: str, scope: str, expires: str
) -> None:
    LocalKey.make_or_load(tmp_path)

    done = await run("token", "--subject", subject, "--scope", scope, "--expires", expires)

    assert (done.exit_code, done.stdout) == (2, "")


async def test_file_that_is_not_there_is_told_once(run: Run, tmp_path: Path) -> None:
    token, imported = (
        await run("token", "--subject", "bob", "--scope", "admin"),
        await run("import", str(tmp_path / "a.csv")),
    )

    assert imported.stderr == f"rayleans: cannot read {tmp_path / 'a.csv'}: No such file or directory\n"
    assert f"{tmp_path / 'signing-key.pem'}: No such file or directory. `rayleans serve`" in token.stderr


async def test_help_shows_examples_as_they_are_typed(run: Run) -> None:
    said = (await run("import", "--help")).stdout

    assert "\n  Examples:\n    rayleans import purchases.jsonl --concurrency 8\n" in said
    assert "\n    rayleans import people.csv --actor customer --command register \\\n        --map id=number" in said


async def test_silos_tell_of_their_last_takeover(run: Run) -> None:
    (silo,) = json.loads((await run("silos", "--output", "json")).stdout)["items"]

    assert silo["takeover"]["why"] == "its process started"
    assert "takeover" in (await run("silos")).stdout


async def test_watcher_sees_the_service_go_away(alone: Service, views_url: str, tmp_path: Path) -> None:
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "status", "--watch", "--every", "0.2", "--output", "json"),
        stdout=asyncio.subprocess.PIPE,
        env=environment_for(alone, views_url, tmp_path),
    )
    assert watching.stdout is not None
    first = json.loads(await watching.stdout.readline())
    await alone.server.stop()
    while (seen := json.loads(await watching.stdout.readline()))["ready"]:
        pass
    watching.send_signal(signal.SIGINT)

    assert (first["ready"], first["silos"], len(first["projections"])) == (True, 1, 4)
    assert "no answer from" in seen["reasons"][0]
    assert await watching.wait() == 0


async def test_doctor_looks_at_everything_and_says_what_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").chmod(0o644)

    done = await run("doctor", "--output", "json")

    checks = {each["what"]: each for each in json.loads(done.stdout)["items"]}
    assert done.exit_code == 7
    assert (checks["token"]["verdict"], checks["token"]["found"]) == ("failed", "mode 0644")
    assert checks["token"]["advice"].endswith(f"chmod 600 {tmp_path / 'token'}")
    for fine in ("ray", "events fsync", "views synchronous_commit", "events clock", "service"):
        assert (checks[fine]["verdict"], checks[fine]["advice"]) == ("ok", ""), checks[fine]


async def test_doctor_tells_of_what_is_away_and_a_warning_is_no_failure(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    gone = ("doctor", "--url", "http://127.0.0.1:1", "--output", "json")
    warned = {each["what"]: each for each in json.loads((await run(*gone)).stdout)["items"]}
    environment["RAYLEANS_EVENTS_URL"] = "postgresql://nobody@127.0.0.1:1/events"
    done = await run(*gone)

    failed = [each for each in json.loads(done.stdout)["items"] if each["verdict"] == "failed"]
    assert (warned["service"]["verdict"], warned["service"]["advice"]) == ("warning", "rayleans serve")
    assert "failed" not in {each["verdict"] for each in warned.values()}
    assert [each["what"] for each in failed] == ["events database"]
    assert failed[0]["advice"] == "start it, or correct RAYLEANS_EVENTS_URL"
    assert failed[0]["found"].startswith("127.0.0.1:1: PostgreSQL does not answer")
    assert done.exit_code == 7
