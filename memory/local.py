"""The embedders of this machine: the one that is named, else the best there is without asking anybody."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

from memory import fastembed
from memory.embed import Embedder, HashedWords
from memory.endpoint import Post, endpoint_of
from memory.errors import EmbedderAway

FindFormer = Callable[[Path, str], Embedder]
"""Makes the embedder of a fingerprint, with a folder for its files. Raises EmbedderAway."""

logger = logging.getLogger(__name__)


def embedder_named(model: str, files: str = "") -> Callable[[Path], Embedder]:
    """Return what makes the embedder, given a folder for its files; a `model` begins with `fastembed/`, or is empty.

    `files`: the folder that has the model's files already; empty: that folder has. What it makes raises EmbedderAway.
    """
    if not model:
        return embedder_here
    name = model.removeprefix(fastembed.PREFIX)
    return lambda folder: fastembed.load(Path(files) if files else folder, name)


def embedder_here(folder: Path) -> Embedder:
    """Return MiniLM, else WordLlama, else hashed words; memories are embedded anew once there is a better one."""
    for load in (_minilm, _wordllama):
        try:
            return load(folder)
        except EmbedderAway as error:
            logger.warning("embedder_missing", extra={"embedder": load.__name__[1:], "reason": error.code})
    return HashedWords()


def former_here(folder: Path, fingerprint: str) -> Embedder:
    """Return the embedder of a fingerprint, if it is a local one. Raises EmbedderAway."""
    load = _LOADERS.get(fingerprint.partition("-")[0])
    found = None if load is None else load(folder)
    if found is None or found.fingerprint != fingerprint:
        raise EmbedderAway(f"there is no {fingerprint} here", code="embedder_gone")
    return found


def former_by(post: Post) -> FindFormer:
    """Return what finds an embedder behind this endpoint, or here."""

    def find(folder: Path, fingerprint: str) -> Embedder:
        return endpoint_of(fingerprint, post) or former_here(folder, fingerprint)

    return find


def _minilm(folder: Path) -> Embedder:
    _needs("onnxruntime", "tokenizers")
    from memory.minilm import load  # noqa: PLC0415 - its packages may be missing

    return load(folder)


def _wordllama(folder: Path) -> Embedder:
    del folder
    _needs("tokenizers")
    from memory.wordllama import load  # noqa: PLC0415 - its packages may be missing

    return load()


def _hashed(folder: Path) -> Embedder:
    del folder
    return HashedWords()


def _needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise EmbedderAway(f"the package {package} is not installed", code="embedder_not_installed")


_LOADERS = {"minilm": _minilm, "wordllama": _wordllama, "hashed": _hashed}
