"""The console in a real browser, on the service as a process."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect
from typer.testing import CliRunner

from actors.store.embedded import EmbeddedPostgres
from gateway.access.local_key import LocalKey
from gateway.cli import app
from tests.acceptance import serving
from tests.acceptance.console.browser import Visit, visiting
from tests.acceptance.console.conftest import MARKUP
from tests.acceptance.serving import Served
from tests.databases import execute

SPOIL = "UPDATE events SET data = $1 WHERE stream = $2 AND type = 'OrderPlaced'"

PICTURE = Path(__file__).with_name("customer.png")

LEAVE_AGAIN_AND_AGAIN = """async () => {
    for (let pause = 0; pause < 40; pause++) {
        history.pushState(null, '', `/console/customers/shop-${pause}`);
        dispatchEvent(new PopStateEvent('popstate'));
        await new Promise((resolve) => setTimeout(resolve, pause));
    }
}"""

ANYTHING = re.compile(r"\w")

SCREENS: list[tuple[str, str | re.Pattern[str]]] = [
    ("/console", "Everything works."),
    ("/console/customers?search=shop", "Barbara Liskov 1"),
    ("/console/customers/shop-0", "CustomerCreditLimitChanged"),
    ("/console/orders", "Order id"),
    ("/console/orders/shop-0", "OrderPlaced"),
    ("/console/statistics", "Sales by month"),
    ("/console/views", "Kinds of actors"),
    ("/console/actors/customers/shop-0", "CustomerCreditLimitChanged"),
    ("/console/send?collection=orders", "customer_id"),
    ("/console/commands", "Idempotency-Key"),
    ("/console/events", ANYTHING),
    ("/console/projections", "customer_orders"),
    ("/console/projections/customers", "Checkpoint"),
    ("/console/silos", re.compile("silo/0.*Last takeover.*UTC: it", re.DOTALL)),
    ("/console/operations", ANYTHING),
]


def test_menu_is_all_there_on_a_telephone(visit: Visit) -> None:
    visit.open("/console/silos")
    wide = visit.page.viewport_size
    visit.page.set_viewport_size({"width": 390, "height": 800})
    try:
        links = visit.page.get_by_role("navigation").get_by_role("link").all()
        boxes = [box for link in links if (box := link.bounding_box()) is not None]

        assert len(boxes) == len(links) > 5
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes), boxes
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
    finally:
        assert wide is not None
        visit.page.set_viewport_size(wide)


def test_code_in_a_sentence_is_shown_as_code(visit: Visit) -> None:
    visit.open("/console/send?collection=orders&command=create")

    about = visit.page.locator(".command-form > p")
    expect(about).to_have_text("Begin an order, empty or with its first lines. Needs the scope commands:write.")
    expect(about.locator("code")).to_have_text("commands:write")


def test_live_events_say_that_they_wait_and_that_nothing_fits(visit: Visit) -> None:
    visit.open("/console/events")
    expect(visit.page.locator(".empty")).to_contain_text("Waiting for the next event.")

    visit.page.get_by_label("From").select_option("start")
    expect(visit.page.locator(".events li").first).to_be_visible()
    expect(visit.page.locator(".empty")).to_be_hidden()

    visit.page.get_by_label("Show only").fill("nobody has this")
    expect(visit.page.locator(".empty")).to_have_text("None of the events that came fits the filter.")


def test_partitions_of_one_epoch_stand_together(visit: Visit) -> None:
    visit.open("/console/silos")

    expect(visit.page.locator("dt", has_text="Partition")).to_have_text(["Partitions 0–15"])


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_every_screen_shows_its_data_and_keeps_nobody_out(visit: Visit, scheme: Literal["light", "dark"]) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    for address, text in SCREENS:
        visit.open(address)
        expect(visit.page.locator("main .body")).to_contain_text(text)
        expect(visit.page.locator(".notice.bad")).to_have_count(0)
        assert visit.barriers() == [], address


def test_link_that_serve_prints_leads_to_live_figures(browser: Browser, shop: Served) -> None:
    (link,) = re.findall(r"^console (\S+)$", shop.messages.read_text(), re.MULTILINE)
    with visiting(browser, shop) as visit:
        visit.page.goto(link)

        expect(visit.page.get_by_role("heading", name="Overview")).to_be_visible()
        expect(visit.page.locator("main")).to_contain_text("Everything works.")
        assert "sign-in" not in visit.page.url
        assert visit.all_trouble() == []

    with visiting(browser, shop) as visit:
        visit.page.goto(link)
        expect(visit.page.get_by_role("alert")).to_contain_text("used before or is too old")


def test_command_line_makes_another_link_and_the_token_is_in_memory_only(newcomer: Visit) -> None:
    visit = newcomer
    made = CliRunner().invoke(app, ["console", "--url", visit.served.url, "--data", str(visit.served.data)])
    visit.page.goto(made.stdout.strip().replace("/console#", "/console/customers/shop-0#"))
    expect(visit.page.get_by_role("heading", name="Customer shop-0")).to_be_visible()
    stored = "[document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), location.href].join()"
    assert "eyJ" not in visit.page.evaluate(stored)

    visit.page.reload()

    expect(visit.page.get_by_label("Token")).to_be_focused()
    visit.page.get_by_label("Token").fill((visit.served.data / "token").read_text())
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("heading", name="Customer shop-0")).to_be_visible()


def test_token_that_is_not_accepted_leads_back_to_the_door(newcomer: Visit) -> None:
    newcomer.page.goto(f"{newcomer.served.url}/console/customers")
    newcomer.page.get_by_label("Token").fill("a.e30.c")
    newcomer.page.keyboard.press("Enter")

    expect(newcomer.page.get_by_role("alert")).to_contain_text("the token is not valid")
    expect(newcomer.page.get_by_label("Token")).to_be_focused()
    newcomer.trouble.clear()  # a browser tells of every 401 by itself


def test_customers_are_found_sorted_and_turned_over_by_keyboard(visit: Visit) -> None:
    visit.open("/console/customers")
    page = visit.page
    page.keyboard.press("/")
    page.keyboard.type("lis")
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page).to_have_url(re.compile(r"\?search=lis$"))

    page.get_by_role("button", name="Registered").press("Enter")
    expect(page.get_by_role("columnheader", name="Registered")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("button", name="Registered")).to_be_focused()
    page.get_by_label("Search").fill("")
    expect(page.get_by_role("button", name="Next")).to_be_enabled()
    first = page.locator("tbody tr").first.get_by_role("cell").first
    beginning = first.inner_text()
    page.get_by_role("button", name="Next").press("Enter")
    expect(first).not_to_have_text(beginning)
    page.get_by_role("button", name="Previous").press("Enter")
    expect(first).to_have_text(beginning)

    page.locator("tbody a").first.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Customer ")


def test_impatient_click_turns_one_page_and_not_two(visit: Visit) -> None:
    visit.open("/console/customers")
    beginning = visit.page.locator("tbody td").first.inner_text()

    visit.page.get_by_role("button", name="Next").evaluate("next => { next.click(); next.click(); }")
    expect(visit.page.locator("tbody td").first).not_to_have_text(beginning)
    visit.page.get_by_role("button", name="Previous").click()

    expect(visit.page.locator("tbody td").first).to_have_text(beginning)
    expect(visit.page.get_by_role("button", name="Previous")).to_be_disabled()


def test_history_of_a_customer_is_walked_back_and_forth(visit: Visit) -> None:
    visit.open("/console/customers/shop-0")
    page, past = visit.page, visit.page.locator("section", has_text="Through its history")
    expect(past.locator("output")).to_have_text("version 5 of 5")

    page.get_by_role("slider").press("Home")
    expect(past.locator("output")).to_have_text("version 1 of 5")
    expect(past).to_contain_text("Ada Lovelace 0")
    page.get_by_role("button", name="one version forward").click()
    expect(past.locator(".changed", has_text="name")).to_contain_text("Ada King")
    expect(page).to_have_url(re.compile(r"\?version=2$"))

    page.locator("summary", has_text="CustomerDeactivated").click()
    changed = page.locator("li", has_text="CustomerDeactivated").locator("tr", has_text="status")
    expect(changed).to_have_text(re.compile("status.*active.*inactive", re.DOTALL))
    expect(page.locator("li", has_text="CustomerDeactivated")).to_contain_text("by operator")


def test_screen_that_is_left_while_it_loads_leaves_no_trouble(visit: Visit) -> None:
    """What it still waits for is given up, and nobody is told; the fixture looks for trouble."""
    visit.page.evaluate(LEAVE_AGAIN_AND_AGAIN)
    visit.open("/console/customers/shop-0")
    expect(visit.page.get_by_role("slider")).to_be_visible()


def test_b5_data_are_text_whatever_they_say(visit: Visit) -> None:
    visit.open("/console/customers?search=shop-evil")
    expect(visit.page.locator("tbody")).to_contain_text(MARKUP)
    visit.page.get_by_role("link", name=MARKUP).click()
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Customer shop-evil")
    for summary in visit.page.locator("summary").all():
        summary.click()
    expect(visit.page.locator("main")).to_contain_text("javascript:alert(2)")

    images = visit.page.locator("img").evaluate_all("all => all.map(each => each.getAttribute('src'))")
    assert set(images) == {"/console/files/icon.svg"}
    links = visit.page.locator("a").evaluate_all("all => all.map(each => each.getAttribute('href'))")
    assert all(each.startswith(("/console", "#main")) for each in links)


def test_command_is_sent_from_its_form_and_found_again(visit: Visit) -> None:
    key = f"form-{uuid4().hex}"
    visit.open("/console/send?collection=customers&command=register")
    page = visit.page
    page.get_by_label("Id of the actor").fill(key)
    page.get_by_label("name").fill("O'Hara")
    page.get_by_label("email").fill("hara@example.com")
    line = page.get_by_label("the same as a command line")
    expect(line).to_contain_text(f"/v1/customers/{key}/register")
    expect(line).to_contain_text(r"""O'\''Hara""")
    sent_key = page.get_by_label("Idempotency-Key").input_value()
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".notice.good")).to_contain_text("Version 1: CustomerRegistered")

    visit.open(f"/console/commands?key={sent_key}")
    expect(page.locator("main")).to_contain_text("It was done")
    expect(page.get_by_role("link", name=f"customer {key}")).to_be_visible()
    visit.open("/console/commands?key=never-sent")
    expect(page.locator("main")).to_contain_text("It left nothing in the log")
    visit.trouble.clear()  # a browser tells of every 404 by itself


def test_screen_tells_how_old_its_data_are_and_stands_still_when_told(visit: Visit) -> None:
    visit.open("/console/customers/shop-1")
    page = visit.page
    expect(page.locator(".age")).to_have_text(re.compile("data from"))
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".age")).to_have_text(re.compile("paused, data from"))
    body = {"name": f"Barbara {uuid4().hex}"}
    visit.served.http.post("/v1/customers/shop-1/rename", json=body).raise_for_status()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("main")).to_contain_text(body["name"])

    page.get_by_role("button", name="Copy as command line").click()
    expect(page.get_by_label("command line", exact=True)).to_contain_text("rayleans customer show shop-1")


def test_b6_projection_is_paused_when_its_name_was_typed_and_the_log_says_by_whom(visit: Visit) -> None:
    visit.open("/console/projections/sales")
    page = visit.page
    now = page.locator("section").filter(has=page.get_by_role("heading", name="Now", exact=True))
    now.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To go on").fill("sale")
    expect(dialog.get_by_role("button", name="Pause")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(now).to_contain_text("running")

    now.get_by_role("button", name="Pause").click()
    dialog.get_by_label("To go on").fill("sales")
    page.keyboard.press("Enter")
    expect(now).to_contain_text("paused")
    now.get_by_role("button", name="Resume").click()
    expect(now).to_contain_text("running")

    visit.open("/console/operations")
    expect(page.locator("tbody tr").nth(1)).to_contain_text(re.compile("operator.*pause.*projection/sales", re.DOTALL))


def test_bad_event_is_told_parked_and_retried(visit: Visit) -> None:
    sales, order = "/v1/admin/projections/sales", f"bad-{uuid4().hex}"
    http, page, logs = visit.served.http, visit.page, EmbeddedPostgres(visit.served.data)
    now = page.locator("section").filter(has=page.get_by_role("heading", name="Now", exact=True))
    parked = page.locator("section", has_text="Events that are not in the view")

    http.post(f"{sales}/pause").raise_for_status()
    placed = _place_order(visit.served, order)
    assert http.get(f"/v1/orders/{order}", headers=placed).json()["status"] == "placed"
    execute(logs.url("events"), SPOIL, '{"total": "a lot"}', f"order-{order}")
    http.post(f"{sales}/resume").raise_for_status()

    visit.open("/console/projections/sales")
    expect(page.locator(".notice.bad").first).to_contain_text(f"OrderPlaced, version 3 of order-{order}")
    expect(page.locator(".notice.bad").first).to_contain_text("its data does not fit")
    parked.locator("summary").click()
    expect(parked.get_by_label("parked event")).to_contain_text('"total": "a lot"')
    parked.get_by_role("button", name="Park").click()
    expect(now).to_contain_text("running")
    others = http.get("/v1/statistics/sales", headers=_place_order(visit.served, f"good-{order}"))
    assert others.status_code == 200

    with page.expect_response("**/retry") as retried:
        parked.get_by_role("button", name="Retry").click()
    assert "its data does not fit" in retried.value.json()["error"]
    expect(parked.locator(".notice.bad")).to_contain_text("its data does not fit")
    execute(logs.url("views"), "UPDATE parked SET data = $1", '{"total": 900}')
    execute(logs.url("events"), SPOIL, '{"total": 900}', f"order-{order}")
    parked.get_by_role("button", name="Retry").click()
    expect(page.locator("main")).to_contain_text("Nothing is parked.")


def _place_order(served: Served, order: str) -> dict[str, str]:
    """Returns the header of a query that must see it."""
    lines = [{"sku": "cd", "quantity": 1, "unit_price": 900}]
    body = {"customer_id": "shop-7", "currency": "EUR", "lines": lines}
    served.http.post(f"/v1/orders/{order}/create", json=body).raise_for_status()
    placed = served.http.post(f"/v1/orders/{order}/place").raise_for_status()
    return {"Consistency-Token": placed.headers["Consistency-Token"]}


@pytest.mark.long
def test_customer_with_a_home_of_its_own_lives_in_that_process(browser: Browser, tmp_path: Path) -> None:
    served = serving.start(tmp_path / "data", "--placement", "own")
    served.wait_until_ready()
    try:
        body = {"name": "Alice", "email": "alice@example.com"}
        token = {"Consistency-Token": served.http.post("/v1/customers/alice/register", json=body).json()["token"]}
        assert served.http.get("/v1/customers/alice", headers=token).status_code == 200
        (home,) = served.actors("Own")
        with visiting(browser, served) as visit:
            visit.sign_in("/console/customers/alice")
            expect(visit.page.locator("main")).to_contain_text(f"in a home of its own (process {home.pid} on ")
            visit.open("/console/silos")
            expect(visit.page.locator("main")).to_contain_text(re.compile(f"customer alice.*{home.pid}", re.DOTALL))
            assert visit.all_trouble() == []
    finally:
        served.end()


def test_reader_without_other_scopes_is_told_so(browser: Browser, shop: Served) -> None:
    token = LocalKey.load(shop.data).mint("bob", ["queries:read"], timedelta(minutes=5))
    with visiting(browser, shop, viewport={"width": 390, "height": 844}) as visit:
        visit.page.goto(f"{shop.url}/console/send")
        visit.page.get_by_label("Token").fill(token)
        visit.page.keyboard.press("Enter")

        expect(visit.page.locator("main")).to_contain_text("lacks the scope commands:write")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390


def test_picture_in_the_readme(visit: Visit, tmp_path: Path) -> None:
    """`RAYLEANS_PICTURE=yes uv run pytest tests/acceptance/console` puts a new one in its place."""
    visit.page.set_viewport_size({"width": 1280, "height": 940})
    visit.open("/console/customers/shop-0")
    visit.page.get_by_role("slider").press("Home")
    visit.page.get_by_role("slider").press("ArrowRight")
    expect(visit.page.locator(".changed", has_text="Ada King")).to_be_visible()
    picture = PICTURE if os.environ.get("RAYLEANS_PICTURE") else tmp_path / PICTURE.name
    visit.page.screenshot(path=picture)

    assert picture.stat().st_size < 200_000
    assert PICTURE.exists()
