"""`tidegate memory reindex` and `progress`: the hub of a house that is up does the work, and is asked over its own socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from gateway.places import Places
from gateway.processes.unix_http import ask
from gateway.recollection import MEMORY_API
from gateway.settings import Settings
from gateway.upkeep_commands import ConfigOption, DataOption, fail
from memory.errors import MemoryFault

if TYPE_CHECKING:
    from memory.engine import Engine

Locate = Callable[[Path | None, str | None], tuple[Settings, Places]]
OpenEngine = Callable[[Settings, Places], AbstractContextManager["Engine"]]
"""Opens the memory of a house that is down."""

_PATIENCE_S = 60.0
_TOLD_S = 1.0
"""How often it is said how far the house is."""
_EVERYWHERE = {"project": "default", "environment": "prod", "key_id": "house", "open": True}


class HouseDown(Exception):
    """Nobody answers at the hub's socket."""


class _Row(msgspec.Struct):
    """A pass that is under way."""

    job: str
    seen: int
    left: int | None = None
    answered_by: str = ""
    waits_for: str = ""


class _Progress(msgspec.Struct):
    running: list[_Row]


def reindex_commands(app: typer.Typer, locate: Locate, open_engine: OpenEngine) -> None:
    """Add them to `tidegate memory`."""

    @app.command()
    def reindex(config: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Build the index anew for the embedder of the settings; a house that is up answers by the old one meanwhile.

        Cut short, it goes on when the house is up, or with this command.
        """
        settings, places = locate(config, data_dir)
        try:
            _ask(places, "POST", "reindex")
        except HouseDown:
            with open_engine(settings, places) as engine:
                _reindex(engine)
        else:
            _follow(places)

    @app.command()
    def progress(config: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Say what goes on in the background of the running house."""
        try:
            running = _running(locate(config, data_dir)[1])
        except HouseDown:
            fail("The house is down: nothing goes on.")
        for row in running:
            typer.echo(_words(row))


def _reindex(engine: Engine) -> None:
    try:
        count = engine.reindex_now(lambda left: typer.echo(f"{left} left"))
    except MemoryFault as fault:
        fail(f"{fault}: {fault.code}")
    typer.echo(f"{count} memories are indexed.")


def _follow(places: Places) -> None:
    try:
        while row := next((row for row in _running(places) if row.job == "reindex"), None):
            typer.echo(_words(row))
            time.sleep(_TOLD_S)
    except HouseDown:
        fail("The house has gone down; it goes on with this when it is up.")
    typer.echo("All memories are indexed.")


def _running(places: Places) -> list[_Row]:
    return msgspec.json.decode(_ask(places, "GET", "upkeep"), type=_Progress).running


def _words(row: _Row) -> str:
    said = f"{row.job}: {row.seen} seen"
    if row.left is not None:
        said += f", {row.left} left; meanwhile {row.answered_by or 'the latest memories'} answer"
    return f"{said}; waits: {row.waits_for}" if row.waits_for else said


def _ask(places: Places, method: str, word: str) -> bytes:
    """Return what the hub answers; end with its complaint if it has one. Raises HouseDown."""
    headers = {"x-tidegate-principal": msgspec.json.encode(_EVERYWHERE).decode()}
    try:
        status, body = ask(places.hub, method, f"{MEMORY_API}/{word}", headers=headers, timeout_s=_PATIENCE_S)
    except OSError as error:
        raise HouseDown from error
    if status != 200:
        fail(f"The house answers {status}: {body.decode(errors='replace')}")
    return body
