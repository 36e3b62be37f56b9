"""The index on a Qdrant server, which several houses may share.

The same points, filters and weights as `edge`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

import httpx
from qdrant_client import QdrantClient
from qdrant_client import models as q
from qdrant_client.http.exceptions import ApiException

from memory.errors import IndexAway
from memory.records import SearchHit, Terms, Vector
from memory.scope import Scope
from memory.store.index import Point, saturated

T = TypeVar("T")

_DENSE, _SPARSE = "dense", "terms"
_PAGE = 1000
_TIMEOUT_S = 5


def connect(url: str, api_key: str = "") -> QdrantClient:
    """Return a client of the server; it is asked for nothing yet."""
    return QdrantClient(url=url, api_key=api_key or None, timeout=_TIMEOUT_S, check_compatibility=False)


class QdrantIndexes:
    """The collections of a server. `name` stands before theirs, for houses that share one."""

    def __init__(self, client: QdrantClient, *, name: str = "tidegate") -> None:
        self._client = client
        self._name = name

    def open(self, name: str, dimensions: int) -> QdrantIndex | None:
        """Return a collection; None if it is not there."""
        del dimensions
        collection = f"{self._name}-{name}"
        there = _asked(lambda: self._client.collection_exists(collection))
        return QdrantIndex(self._client, collection) if there else None

    def make(self, name: str, dimensions: int) -> QdrantIndex:
        """Return a new collection, without a point; what has the name goes."""
        self.forget(name)
        collection = f"{self._name}-{name}"
        _asked(lambda: _make(self._client, collection, dimensions))
        return QdrantIndex(self._client, collection)

    def forget(self, name: str) -> None:
        """Take a collection away; one that is not there does not matter."""
        _asked(lambda: self._client.delete_collection(f"{self._name}-{name}"))

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class QdrantIndex:
    """One collection."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    def put(self, points: Sequence[Point]) -> None:
        """Add the points, or replace those with the same ids."""
        if points:
            made = [_made(point) for point in points]
            _asked(lambda: self._client.upsert(self._collection, made, wait=True))

    def drop(self, ids: Collection[str]) -> None:
        """Remove them; those that are not there do not matter."""
        if ids:
            gone = q.PointIdsList(points=list(ids))
            _asked(lambda: self._client.delete(self._collection, gone, wait=True))

    def nearest(self, scope: Scope, vector: Vector, limit: int) -> list[SearchHit]:
        """Return what lies nearest to the vector, best first; the score is the cosine."""
        return self._search(scope, vector.tolist(), _DENSE, limit)

    def matching(self, scope: Scope, weights: Mapping[int, float], limit: int) -> list[SearchHit]:
        """Return what shares terms with the query, best first; `weights` are the terms' rarities."""
        if not weights:
            return []
        query = q.SparseVector(indices=list(weights), values=list(weights.values()))
        return self._search(scope, query, _SPARSE, limit)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all points of all scopes."""
        offset: q.ExtendedPointId | None = None
        while True:
            records, offset = _asked(
                lambda offset=offset: self._client.scroll(  # type: ignore[misc]
                    self._collection, limit=_PAGE, offset=offset, with_payload=False, with_vectors=False
                )
            )
            for record in records:
                yield str(record.id)
            if offset is None:
                return

    def present(self, ids: Collection[str]) -> set[str]:
        """Return which of these points are there."""
        found = _asked(
            lambda: self._client.retrieve(self._collection, list(ids), with_payload=False, with_vectors=False)
        )
        return {str(record.id) for record in found}

    def flush(self) -> None:
        """Return at once: the server answers a write when it is durable."""

    def close(self) -> None:
        """Do nothing: the connection is everybody's."""

    def _search(
        self, scope: Scope, query: list[float] | q.SparseVector, using: str, limit: int
    ) -> list[SearchHit]:
        found = _asked(
            lambda: self._client.query_points(
                self._collection,
                query=query,
                using=using,
                query_filter=_within(scope),
                limit=limit,
                with_payload=False,
            )
        )
        return [SearchHit(str(point.id), point.score) for point in found.points]


def _make(client: QdrantClient, collection: str, dimensions: int) -> None:
    client.create_collection(
        collection,
        vectors_config={_DENSE: q.VectorParams(size=dimensions, distance=q.Distance.DOT)},
        sparse_vectors_config={_SPARSE: q.SparseVectorParams()},
    )
    for key, tenant in (("owner", True), ("agent", False), ("run", False)):
        schema = q.KeywordIndexParams(type=q.KeywordIndexType.KEYWORD, is_tenant=tenant)
        client.create_payload_index(collection, key, schema)


def _within(scope: Scope) -> q.Filter:
    """Return the filter that no search goes without."""
    wanted = scope.constraints()
    values = {"owner": scope.owner(), "agent": wanted.agent, "run": wanted.run}
    return q.Filter(
        must=[
            q.FieldCondition(key=key, match=q.MatchValue(value=value))
            for key, value in values.items()
            if value is not None
        ]
    )


def _made(point: Point) -> q.PointStruct:
    terms: Terms = point.terms
    weights = saturated(terms)
    vectors: dict[str, list[float] | q.SparseVector] = {
        _SPARSE: q.SparseVector(indices=list(weights), values=list(weights.values()))
    }
    if point.vector is not None:
        vectors[_DENSE] = point.vector.tolist()
    payload = {"owner": point.scope.owner(), "agent": point.scope.agent, "run": point.scope.run}
    return q.PointStruct(id=point.id, vector=vectors, payload=payload)  # type: ignore[arg-type]


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except (ApiException, httpx.HTTPError, ValueError, OSError) as error:
        raise IndexAway(f"the Qdrant server failed: {type(error).__name__}") from error
