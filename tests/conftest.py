"""Settings of the test run itself."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import settings

from memory.sealed import UNSEALED
from tests.fakes import memory_databases, postgres
from tests.fakes.begun import place
from tests.fakes.sealed import sealer

# No deadline: a loaded machine is not a bug. Derandomised: the same examples for everybody.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci")


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a module's async tests on the loops it names as `LOOPS = ("uvloop",)`; else on asyncio's."""
    names = getattr(getattr(item, "module", None), "LOOPS", ("asyncio",))
    return {name: LOOPS[name] for name in names}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """A server that starts with the first test that asks for it, and is there after each."""
    if not postgres.program("postgres"):
        pytest.skip("Postgres is not installed")
    with postgres.running() as started:
        yield started


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.Postgres) -> str:
    """A ledger's database, shared by the tests of a run; `empty` it first."""
    return postgres_server.make("memory")


@pytest.fixture
def postgres_database(postgres_server: postgres.Postgres) -> Iterator[str]:
    """An empty database of a test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def control_url(request: pytest.FixtureRequest) -> str:
    """`control.url` for records in a file, and for records in an empty database."""
    return request.getfixturevalue("postgres_database") if request.param == "postgres" else ""


@pytest.fixture(params=["sqlite", "sealed", "postgres"])
def memory_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[memory_databases.Database]:
    """Where a ledger may lie, empty; and one whose words are sealed."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        memory_databases.empty(url)
    seals = sealer("*") if request.param == "sealed" else UNSEALED
    made = memory_databases.Database(tmp_path, url, seals)
    yield made
    made.close()


def pytest_sessionfinish() -> None:
    """Remove what the houses of this run began from; xdist's own workers have nothing of this name."""
    shutil.rmtree(place(os.getpid()), ignore_errors=True)
