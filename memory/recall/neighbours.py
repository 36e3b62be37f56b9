"""What stands beside a hit in its conversation shares in what the hit has. Pure.

An answer says `Yes, last spring`, and only the turns around it say what about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

REACH = 2
"""So many turns before and after."""
_SHARES: Mapping[int, float] = {-1: 0.3, -2: 0.2, 1: 0.2, 2: 0.1}
"""What a turn gets of the one that stands so far from it."""
_ANSWER = 0.3
"""And a turn that follows a question gets so much more of it."""
_ASKS = ("?", "？", "؟")

Nearby = Mapping[str, Sequence[tuple[int, str]]]
"""Id of a memory -> its neighbours: where they stand (-1: just before it) and their ids."""


def asks(text: str) -> bool:
    """Say whether a turn ends in a question: it is about something, and says nothing of it."""
    return text.rstrip(" \"'”»)").endswith(_ASKS)


def shared(evidence: Mapping[str, float], questions: frozenset[str], nearby: Nearby) -> dict[str, float]:
    """Return the evidence of each, with its share of its neighbours'. `questions`: those that only ask."""
    given: dict[tuple[str, str], float] = {}
    for one, beside in nearby.items():
        for place, other in beside:
            given[one, other] = _share(place, asked=other in questions)
            given[other, one] = _share(-place, asked=one in questions)
    result = dict(evidence)
    for (taker, giver), share in given.items():
        if taker in result and giver in evidence:
            result[taker] += share * evidence[giver]
    return result


def _share(place: int, *, asked: bool) -> float:
    return _SHARES.get(place, 0.0) + (_ANSWER if place == -1 and asked else 0.0)
