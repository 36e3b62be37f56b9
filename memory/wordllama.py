"""WordLlama's vectors of words, averaged: 0.02 ms a text, without onnxruntime; on LoCoMo 3 points under MiniLM.

The files are read by hand: the package's own loader looks for its tokenizer online (0.4.0.post1, November 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from tokenizers import Tokenizer

from memory.embed import unit
from memory.errors import EmbedderAway
from memory.packaged import checked, installed
from memory.records import Vector

WEIGHTS_SHA256 = "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
"""wordllama 0.4.0.post1, `l2_supercat_256.safetensors` (MIT)."""
TOKENIZER_SHA256 = "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"
_WEIGHTS = ("wordllama", "weights/l2_supercat_256.safetensors")
_TOKENIZER = ("wordllama", "tokenizers/l2_supercat_tokenizer_config.json")
_TABLE = "embedding.weight"
_LENGTH_BYTES = 8


class _Tensor(msgspec.Struct):
    dtype: str
    shape: tuple[int, int]
    data_offsets: tuple[int, int]


class WordLlama:
    """One vector for each token, whatever stands beside it."""

    gate = 0.28
    """Of unrelated short texts 99 % stay under 0.18."""

    def __init__(self, table: Vector, tokenizer: Path) -> None:
        self.dimensions = table.shape[1]
        self.fingerprint = f"wordllama-l2-supercat-{self.dimensions}-{WEIGHTS_SHA256[:8]}"
        self._table = table
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Vector:
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        mean = (
            self._table[ids].mean(axis=0, dtype=np.float32) if ids else np.zeros(self.dimensions, np.float32)
        )
        return unit(mean)


def load() -> WordLlama:
    """Return the model. Raises EmbedderAway."""
    weights = checked(installed(*_WEIGHTS), WEIGHTS_SHA256)
    return WordLlama(_table(weights.read_bytes()), checked(installed(*_TOKENIZER), TOKENIZER_SHA256))


def _table(content: bytes) -> Vector:
    """Read the one table of a safetensors file: a length, a header in JSON, the numbers."""
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    tensor = msgspec.json.decode(content[_LENGTH_BYTES:start], type=dict[str, _Tensor])[_TABLE]
    if tensor.dtype != "F16":
        raise EmbedderAway("the table does not hold half floats", code="embedder_changed")
    first, last = (start + offset for offset in tensor.data_offsets)
    return np.frombuffer(content[first:last], dtype=np.float16).reshape(tensor.shape)  # type: ignore[return-value]
