"""Settings of the test run itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import settings

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
