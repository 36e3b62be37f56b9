"""How much of what a user said is read for a recall, whatever the format."""

from __future__ import annotations

from collections.abc import Iterable

MOST_TURNS = 8
MOST_CHARS = 8192
"""Of all turns together; of a last one that is longer, its end."""


def gather(said: Iterable[tuple[int, str]]) -> tuple[int, list[str]]:
    """Return the index of the last turn, and the turns there is room for, oldest first; `said` has the last one first.

    No turns if the last one asks nothing in words: it is a picture, or the results of functions.
    """
    anchor, room = -1, MOST_CHARS
    turns: list[str] = []
    for index, text in said:
        room -= len(text)
        if anchor < 0:
            anchor = index
            if not text.strip():
                break
        elif room < 0:
            break
        if text.strip():
            turns.append(text[-MOST_CHARS:])
        if len(turns) == MOST_TURNS:
            break
    turns.reverse()
    return anchor, turns
