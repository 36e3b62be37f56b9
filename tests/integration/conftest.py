"""A gateway that the tests of a module share; those that break things start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.tidegate import Tidegate


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A gateway with nothing configured: open mode, sandbox, embedded store."""
    gateway = Tidegate(tmp_path_factory.mktemp("house")).start()
    yield gateway
    assert gateway.stop() == 0, gateway.log()
