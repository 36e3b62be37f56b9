"""When what was said is read by a model: not at every turn, but soon after a conversation falls silent. Pure."""

from __future__ import annotations

IDLE_US = 30_000_000
"""Silence after which a conversation is read."""
ENOUGH_TURNS = 4
ENOUGH_TOKENS = 1500
MOST_TURNS = 12
MOST_TOKENS = 3000
"""Of one reading; what follows is the next one's."""
LEASE_US = 300_000_000
"""How long one attempt may take before another may begin."""
MOST_REFUSALS = 5
"""Answers that cannot be used; then the job is given up, and what was said stays as it was said."""
_FIRST_PAUSE_US = 5_000_000
_LAST_PAUSE_US = 900_000_000


def due_us(now_us: int, *, turns: int, tokens: int, urgent: bool) -> int:
    """Return when to read a conversation to which a turn was just added."""
    enough = urgent or turns >= ENOUGH_TURNS or tokens >= ENOUGH_TOKENS
    return now_us if enough else now_us + IDLE_US


def is_full(turns: int, tokens: int) -> bool:
    """Say whether a further turn has to wait for the next reading."""
    return turns >= MOST_TURNS or tokens >= MOST_TOKENS


def pause_us(attempts: int) -> int:
    """Return how long to wait after so many attempts that failed: five seconds, doubled up to a quarter of an hour."""
    return min(_LAST_PAUSE_US, _FIRST_PAUSE_US << min(attempts - 1, 20))
