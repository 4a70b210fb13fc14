"""A real browser in front of the console, and what it must never see."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect

from gateway.access.local_key import LocalKey
from gateway.access.sign_in import SignInCodes, console_link
from tests.acceptance.serving import Served

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SERIOUS = {"serious", "critical"}
WAIT_MS = 10_000

# Set by scripts in data, if any of them ever ran.
_WATCH = """
window.trouble = [];
addEventListener('securitypolicyviolation', (event) => window.trouble.push('CSP: ' + event.violatedDirective));
window.alert = (text) => window.trouble.push('alert: ' + text);
"""


def installed() -> str | None:
    """The browser of this machine, or None."""
    return next((found for name in NAMES if (found := shutil.which(name)) is not None), None)


def launch(playwright: Playwright, program: str) -> Browser:
    # The sandbox of Chromium does not work for root, as in most builds.
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@dataclass
class Visit:
    """A page of the console, and all trouble that it had."""

    served: Served
    page: Page
    trouble: list[str] = field(default_factory=list)

    def sign_in(self, address: str = "/console") -> None:
        """Open a screen with a link that signs in."""
        self.page.goto(self.link(address))
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def link(self, address: str) -> str:
        """To a screen; it signs in, once."""
        code = SignInCodes(self.served.data).make(LocalKey.load(self.served.data))
        return console_link(self.served.url, code).replace("/console#", f"{address}#", 1)

    def open(self, address: str) -> None:
        """Go to a screen, as its link would."""
        self.page.evaluate(
            "address => { history.pushState(null, '', address); dispatchEvent(new PopStateEvent('popstate')); }",
            address,
        )

    def all_trouble(self) -> list[str]:
        """Errors, violations of the policy, and scripts of others that ran, since it was asked last."""
        trouble, self.trouble = self.trouble, []
        return [*trouble, *self.page.evaluate("window.trouble.splice(0)")]

    def barriers(self) -> list[str]:
        """What keeps people from using the page, as far as a program can see."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]


@contextmanager
def visiting(browser: Browser, served: Served, **looks: Any) -> Iterator[Visit]:
    """A fresh browser profile, gone with the block."""
    context = browser.new_context(**looks)
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(_WATCH)
    visit = Visit(served, context.new_page())

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            visit.trouble.append(message.text)

    visit.page.on("console", hear)
    visit.page.on("pageerror", lambda error: visit.trouble.append(str(error)))
    try:
        yield visit
    finally:
        context.close()
