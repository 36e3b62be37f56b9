"""Which statements say the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memory.facets import facets_of
from memory.store.sql_upkeep_reads import Statement

ALIKE = 0.97
"""Cosine from which two texts with the same numbers, names and negation are one statement."""


def repeated(one: Statement, near: Iterable[Statement]) -> Iterator[Statement]:
    """Yield those statements that this one repeats, out of such as mean nearly the same."""
    facets = facets_of(one.text)
    for other in near:
        if other.alike == one.alike and facets_of(other.text) == facets:
            yield other
