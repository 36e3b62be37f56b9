"""What a question's best candidate must reach, whatever its rank: better nothing than noise. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from memory.records import Vector

_ENOUGH = 0.5
"""Share of the question's words that is enough without any nearness."""
_BESIDE_WORDS = 1.25
"""How much steeper the cosine is measured when words are added to it."""
_STEEPNESS = 1.6
"""A cosine alone is enough at so many times what unrelated memories reach."""
_UNRELATED = 0.99
"""Of the unrelated pairs so many stay below."""
MIN_PAIRS = 200
"""Fewer pairs say nothing about an embedder."""
_LEAST, _MOST = 0.2, 0.9


class Gate(msgspec.Struct, frozen=True):
    """Words and meaning add up; either alone may be enough.

    The best candidate passes or all are silent; with it pass those that have `share` of what it has, neighbours
    counted. On LoCoMo's development half 80 % of the evidence passes among ten turns (84 % without a gate), and
    76 % of the questions put to a stranger's memories get nothing (`python -m tests.bench.locomo`).
    """

    dense: float
    """Cosine, mean-centred, that is enough without any word; depends on the embedder."""
    share: float = 0.4

    def evidence(self, dense: float, covered: float) -> float:
        """Return what a candidate has: from 0 to 1, on the same scale for every embedder."""
        return (covered + max(0.0, dense) * _ENOUGH / (self.dense * _BESIDE_WORDS)) / 2

    def opens(self, dense: float, covered: float) -> bool:
        """Say whether this is evidence at all."""
        return dense >= self.dense or self.evidence(dense, covered) >= _ENOUGH / 2


def calibrated(pairs: Sequence[tuple[Vector, Vector]]) -> float | None:
    """Return `Gate.dense` for an embedder from mean-centred vectors of memories that have nothing in common.

    None if they are too few.
    """
    if len(pairs) < MIN_PAIRS:
        return None
    one, other = (np.stack(side) for side in zip(*pairs, strict=True))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found = np.einsum("ij,ij->i", one, other) / np.where(norms > 0, norms, 1.0)
    return float(min(_MOST, max(_LEAST, _STEEPNESS * np.quantile(found, _UNRELATED))))
