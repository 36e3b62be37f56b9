"""Stores that the contracts are checked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from telemetry.migrate import migrate
from telemetry.store.base import Store
from telemetry.store.embedded import open_folder
from tests.fakes.control_databases import Open, connections
from tests.fakes.ledger import served


@pytest.fixture
def opening(tmp_path: Path, control_url: str) -> Iterator[Open]:
    """Control records without tables, in a file and on a server."""
    with connections(tmp_path / "control.sqlite", control_url) as made:
        yield made


# chDB opens one folder per process: the embedded store is shared by the tests of a module, each in tables of
# its own or with calls of its own.
@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A ledger in a folder."""
    with closing(open_folder(tmp_path_factory.mktemp("chdb") / "clickhouse")) as store:
        migrate(store)
        yield store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A ledger on a server."""
    with served(tmp_path_factory.mktemp("front") / "clickhouse") as store:
        yield store


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    """A ledger with its tables, in a folder and on a server."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen
