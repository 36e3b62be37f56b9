"""Chromium, and a page in it that remembers what it asked for and complained of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.fakes.tidegate import PATIENCE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
WAIT_MS = PATIENCE_S * 1000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, patient as the tests are."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        expect.set_options(timeout=WAIT_MS)
        yield browser
        browser.close()


class Visit:
    """A page in a fresh browser profile, and what it asked for and complained of."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.home = home
        self.asked: list[str] = []
        self.sockets: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", self._note)
        page.on("websocket", lambda socket: self.sockets.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    def _note(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.asked.append(request.url)

    def open(self, path: str) -> Page:
        """Go to an address and wait until the page is alive."""
        self.page.goto(self.home + path)
        self.page.wait_for_selector(".tg-footer")
        return self.page

    def strangers(self) -> list[str]:
        """Return what was asked of anybody but us."""
        ours = (f"{self.home}/", f"{self.home.replace('http', 'ws', 1)}/")
        return [url for url in self.asked + self.sockets if not url.startswith(ours)]


@contextmanager
def visit(
    browser: Browser, port: int, *, scheme: str = "light", width: int = 1280, state: Any = None
) -> Iterator[Visit]:
    """Open a page of the house at this port; `state`: of a browser that has signed in."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="Asia/Kolkata",
        storage_state=state,
    )
    try:
        yield Visit(context.new_page(), f"http://localhost:{port}")
    finally:
        context.close()


def rows(page: Page) -> list[list[str]]:
    """Return the cells of the page's first table that has a head."""
    table = page.locator(".tg-table:has(thead)").first
    return [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
