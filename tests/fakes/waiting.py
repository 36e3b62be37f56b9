"""Waiting for what another process or task does, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], what: str = "the condition", *, timeout_s: float = 10) -> None:
    """Return as soon as the condition holds; fail if it does not in time. The other side has no event to set."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while not condition():
        if loop.time() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        await asyncio.sleep(0.003)
