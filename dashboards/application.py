"""All pages as one application. Importing it takes half a second: nobody does before a page is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from nicegui import ui

from dashboards.pages import call, calls, costs, errors, event, events, people, steps
from dashboards.reader import reader_for
from telemetry.questions.memory import AskReading, nobody_reads
from telemetry.store.base import Store

_FOLDER = Path(__file__).parent


def application(
    store: Callable[[], Store | None], now_us: Callable[[], int], reading: AskReading = nobody_reads
) -> FastAPI:
    """Make the application; its lifespan has to be entered before it is asked anything."""
    readers = reader_for(store, now_us, reading)
    for page in (events, event, calls, call, costs, people, errors, steps):
        page.add(readers)
    app = FastAPI(openapi_url=None)
    ui.add_css((_FOLDER / "style.css").read_text(), shared=True)
    ui.run_with(
        app,
        title="Tidegate",
        favicon=_FOLDER / "icon.svg",
        dark=None,
        tailwind=False,
        binding_refresh_interval=None,
        gzip_middleware_factory=None,  # it would compress in the loop; browsers keep these files for a year
        show_welcome_message=False,
    )
    return app
