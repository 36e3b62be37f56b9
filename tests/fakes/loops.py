"""Runs an async test under asyncio's loop and under uvloop, and looks for what it left behind."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.fakes.waiting import until

Loop = Callable[[], asyncio.AbstractEventLoop]
LOOPS: tuple[Loop, ...] = (asyncio.new_event_loop, uvloop.new_event_loop)
LIMIT_S = 20


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Decorate an async test: two runs, each with a limit in time and no task left over."""

    @functools.wraps(test)
    def run(*args: object, new_loop: Loop, **kwargs: object) -> None:
        async def watched() -> None:
            async with asyncio.timeout(LIMIT_S):
                await test(*args, **kwargs)
            await until(lambda: len(asyncio.all_tasks()) == 1, "no task is left over")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(watched())

    signature = inspect.signature(test)
    loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), loop])  # type: ignore[attr-defined]
    both: Callable[..., None] = pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])(run)
    return both
