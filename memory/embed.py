"""What every embedder does, and one that needs no model."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from memory.records import Vector
from memory.sparse import terms


class Embedder(Protocol):
    """Turns texts into vectors of length one; blocking, so never called on an event loop."""

    @property
    def fingerprint(self) -> str:
        """Names model, variant and dimensions; vectors of two fingerprints are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def gate(self) -> float:
        """The mean-centred cosine that is enough to speak of the same thing without a word in common."""
        ...

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text. Raises EmbedderAway."""
        ...


class HashedWords:
    """For tests, and where no model is installed: words hashed into dimensions. Knows no meaning."""

    fingerprint = "hashed-words-384-v1"
    dimensions = 384
    gate = 0.45

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text; texts that share words are near each other."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Vector:
        vector = np.zeros(self.dimensions, dtype=np.float32)
        for term, count in terms(text).items():
            spread = zlib.crc32(term.to_bytes(4))  # crc32 of short words alone leaves the low bits uneven
            vector[spread % self.dimensions] += count if spread & 0x8000_0000 else -count
        return unit(vector)


def unit(vector: Vector) -> Vector:
    """Return the vector with length one; of nothing, the first axis."""
    norm = float(np.linalg.norm(vector))
    if not norm > 0:
        vector = np.zeros_like(vector)
        vector[0] = norm = 1.0
    return (vector / norm).astype(np.float32)
