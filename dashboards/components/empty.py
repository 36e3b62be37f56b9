"""What a list says when it is empty: what to do about it."""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address
from dashboards.components.frame import link, text
from dashboards.reader import Reader


def nothing(reader: Reader, request: Request, what: str, *, hint: str = "") -> None:
    """Say that no `what` matches the address, or, if it asks for everything, how to make some."""
    address = Address(request)
    with ui.element("div").classes("tg-empty"):
        if address.narrowed:
            text(f"No {what} matches", "h2")
            text(hint)
            link(f"Show all {what}s", address.path)
            return
        text("No calls yet" if what in ("call", "event") else f"No {what}s yet", "h2")
        text(hint)
        text("Make a call: the model needs no key of a provider, and no network. It is here within a second.")
        key = "" if reader.open else " -H 'authorization: Bearer tg-...'"
        text(
            f"curl {request.base_url}v1/chat/completions{key} \\\n"
            "  -H 'content-type: application/json' -H 'x-tidegate-event-id: first-light' \\\n"
            """  -d '{"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello, tide"}]}'""",
            "pre",
        )
        text("Or several at once, with users, threads and a failure:")
        text("tidegate demo", "pre")
