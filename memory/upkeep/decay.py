"""How much age and use make of a memory in ranking. Nothing is ever deleted for it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

LEAST = 0.3
MOST = 1.5
_DAY_US = 86_400_000_000
_HALF_LIFE_US: Mapping[str, int] = {
    "episode": 365 * _DAY_US,
    "event": 365 * _DAY_US,
    "plan": 180 * _DAY_US,
}
"""Kinds that fade; what somebody is, likes or wants done does not."""
_EACH_DOUBLING = 0.1
"""For each doubling of how often it was of use."""


def weight(kind: str, *, occurred_us: int, uses: int, used_us: int, now_us: int) -> float:
    """Return the factor of a memory's score, from 0.3 to 1.5; 1 for what is new and was never of use."""
    half_life = _HALF_LIFE_US.get(kind)
    fresh = 1.0
    if half_life is not None:
        age_us = max(0, now_us - max(occurred_us, used_us))
        fresh = LEAST + (1 - LEAST) * 0.5 ** (age_us / half_life)
    return min(MOST, max(LEAST, fresh * (1 + _EACH_DOUBLING * math.log2(1 + uses))))
