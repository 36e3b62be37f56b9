"""What every index of memories does, and the place where its collections lie."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from memory.records import SearchHit, Terms, Vector
from memory.scope import Scope


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A memory as the index knows it: no word of its text."""

    id: str
    scope: Scope
    terms: Terms
    vector: Vector | None = None
    """None: the embedder was away; it is found by its words alone."""


_USUAL_LENGTH = 12
"""Terms of a usual memory. Only for finding candidates: they are ranked anew by their scope's own average."""


def saturated(terms: Terms) -> dict[int, float]:
    """Return BM25's share of the document; the query brings the rarities."""
    stretch = 1.2 * (0.25 + 0.75 * sum(terms.values()) / _USUAL_LENGTH)
    return {term: count * 2.2 / (count + stretch) for term, count in terms.items()}


class Index(Protocol):
    """Finds candidates. Every search is within a scope; the filter is made here. Raises IndexAway."""

    def put(self, points: Sequence[Point]) -> None:
        """Add the points, or replace those with the same ids."""
        ...

    def drop(self, ids: Collection[str]) -> None:
        """Remove them; those that are not there do not matter."""
        ...

    def nearest(self, scope: Scope, vector: Vector, limit: int) -> list[SearchHit]:
        """Return what lies nearest to the vector, best first; the score is the cosine."""
        ...

    def matching(self, scope: Scope, weights: Mapping[int, float], limit: int) -> list[SearchHit]:
        """Return what shares terms with the query, best first; `weights` are the terms' rarities."""
        ...

    def ids(self) -> Iterator[str]:
        """Yield the ids of all points of all scopes: for reconciliation, not for answers."""
        ...

    def present(self, ids: Collection[str]) -> set[str]:
        """Return which of these points are there."""
        ...

    def flush(self) -> None:
        """Return once everything would survive a power cut."""
        ...

    def close(self) -> None:
        """Let go of the collection."""
        ...


class Indexes(Protocol):
    """Where the collections of an installation lie, by name. Raises IndexAway."""

    def open(self, name: str, dimensions: int) -> Index | None:
        """Return a collection; None if it is not there, or cannot be read."""
        ...

    def make(self, name: str, dimensions: int) -> Index:
        """Return a new collection, without a point; what has the name goes."""
        ...

    def forget(self, name: str) -> None:
        """Take a collection away that nobody has open; one that is not there does not matter."""
        ...

    def close(self) -> None:
        """Let go of the folder or the connection."""
        ...
