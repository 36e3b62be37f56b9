"""Stores that the contracts are checked on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.control_databases import Open, connections


@pytest.fixture
def opening(tmp_path: Path, control_url: str) -> Iterator[Open]:
    """Control records without tables, in a file and on a server."""
    with connections(tmp_path / "control.sqlite", control_url) as made:
        yield made
