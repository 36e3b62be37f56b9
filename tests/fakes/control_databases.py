"""Connections to control records, as many as a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from gateway.control.database import Database
from gateway.control.postgres import Postgres
from gateway.control.sqlite import Sqlite

Open = Callable[[], Database]
"""Returns another connection to the same database."""


@contextmanager
def connections(path: Path, url: str) -> Iterator[Open]:
    """Open what is at the URL, or in the file without one; all of them are closed when the block ends."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(Postgres(url) if url else Sqlite(path)))
