"""What every page has around its content, and what it says when there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from dashboards.lists import LISTS
from dashboards.reader import Reader
from telemetry.answers import Refusal

LIVE_S = 5.0
_AGAIN_S = 2.0

Content = Callable[[Reader], Awaitable[None]]


async def show(
    request: Request,
    readers: Callable[[Request], Reader],
    title: str,
    content: Content,
    *,
    above: Callable[[], object] = lambda: None,
) -> None:
    """Build a page: what `content` shows, again whenever it is refreshed, or why there is nothing to see.

    What `above` shows stays as it is meanwhile: somebody may be typing there.
    """
    live = request.query_params.get("live") == "1"
    ui.page_title(f"{title} · Tidegate")

    @ui.refreshable
    async def body() -> None:
        try:
            await content(readers(request))
        except Refusal as refusal:
            ui.context.client.status_code = refusal.status
            apology(_heading(refusal.status), str(refusal))
            if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
                ui.timer(_AGAIN_S, body.refresh, once=True)

    with _frame(request.url.path, signed_in="tidegate_session" in request.cookies):
        with ui.element("div").classes("tg-tools"):
            text(title, "h1")
            text("Refresh", "button").on("click", body.refresh)
            query = [pair for pair in request.query_params.multi_items() if pair[0] != "live"]
            toggled = urlencode(query if live else [*query, ("live", "1")])
            link("auto refresh: on" if live else "auto refresh: off", f"?{toggled}")
        above()
        await body()
    if live:
        ui.timer(LIVE_S, body.refresh, immediate=False)


@contextmanager
def _frame(path: str, *, signed_in: bool) -> Iterator[None]:
    with ui.element("header").classes("tg-header"):
        link("Tidegate", "/").classes("tg-brand")
        with ui.element("nav"):
            for home, name in LISTS.items():
                here = path == home or (home != "/" and path.startswith(f"{home}/"))
                link(name, home).props("aria-current=page" if here else "")
    with ui.element("main").classes("tg-main"):
        yield
    with ui.element("footer").classes("tg-footer"):
        link("API", "/docs")
        link("Health", "/health/ready")
        link("Metrics", "/metrics")
        if signed_in:
            link("Account", "/account")


def text(words: str, tag: str = "div", classes: str = "") -> ui.label:
    """Show words as they are: nothing in them is markup."""
    label = ui.label(words).classes(classes)
    label.tag = tag
    return label


def link(words: str, address: str) -> ui.link:
    """Show a link to another page of ours."""
    return ui.link(words, address)


def section(title: str) -> ui.element:
    """Open a part of a page under its heading; use it as a context."""
    part = ui.element("section").classes("tg-section")
    with part:
        text(title, "h2")
    return part


def apology(title: str, words: str) -> None:
    """Say why there is nothing to see, and what to do."""
    with ui.element("div").classes("tg-empty").props("role=status"):
        text(title, "h2")
        text(words)


def _heading(status: int) -> str:
    match status:
        case HTTPStatus.NOT_FOUND:
            return "Not found"
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return "In a moment"
        case HTTPStatus.UNAUTHORIZED:
            return "Not signed in"
        case _:
            return "No answer"
