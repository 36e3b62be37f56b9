"""The best embedder that this machine has without asking anybody."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

from memory.embed import Embedder, HashedWords
from memory.errors import EmbedderAway

logger = logging.getLogger(__name__)


def embedder_here(folder: Path) -> Embedder:
    """Return MiniLM, else WordLlama, else hashed words; memories are embedded anew once there is a better one."""
    for load in (_minilm, _wordllama):
        try:
            return load(folder)
        except EmbedderAway as error:
            logger.warning("embedder_missing", extra={"embedder": load.__name__[1:], "reason": error.code})
    return HashedWords()


def _minilm(folder: Path) -> Embedder:
    _needs("onnxruntime", "tokenizers")
    from memory.minilm import load  # noqa: PLC0415 - its packages may be missing

    return load(folder)


def _wordllama(folder: Path) -> Embedder:
    del folder
    _needs("tokenizers")
    from memory.wordllama import load  # noqa: PLC0415 - its packages may be missing

    return load()


def _needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise EmbedderAway(f"the package {package} is not installed", code="embedder_not_installed")
