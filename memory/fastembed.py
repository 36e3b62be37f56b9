"""Models of Qdrant's fastembed, run on this machine from files that lie here: nothing is downloaded.

The package is no dependency of ours (the extra `fastembed`). Seen with 0.9.1, November 2026: told where a model's files
lie it asks nobody, while its own search for them logs, and asks the hub that has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from memory.embed import unit
from memory.errors import EmbedderAway
from memory.packaged import sha256_of
from memory.records import Vector

PREFIX = "fastembed/"
"""What a model's name begins with in `memory.embedder.model`."""
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


class TextEmbedding(Protocol):
    """What is used of fastembed's class of that name."""

    def __init__(
        self, model_name: str, *, specific_model_path: str, threads: int, providers: Sequence[str]
    ) -> None: ...

    @classmethod
    def list_supported_models(cls) -> list[dict[str, Any]]:
        """Return of each model its `model`, `dim`, `model_file`, `additional_files` and `sources`."""
        ...

    def embed(self, documents: list[str]) -> Iterable[Vector]:
        """Return a vector for each text."""
        ...


class FastEmbed:
    """One model, one thread. Each text runs alone: quantised models make a vector depend on its batch."""

    gate = 0.35
    """A guess, as models differ: `tidegate memory calibrate` knows better."""

    def __init__(self, model: TextEmbedding, *, fingerprint: str, dimensions: int) -> None:
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self._model = model

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        return [unit(vector) for text in texts for vector in self._model.embed([text])]


def load(folder: Path, name: str) -> FastEmbed:
    """Return the model of this name, as fastembed knows it.

    `folder`: has its files, or is a cache that fastembed downloaded them into. Raises EmbedderAway.
    """
    kind = _library()
    known = {one["model"].lower(): one for one in kind.list_supported_models()}
    described = known.get(name.lower())
    if described is None:
        raise EmbedderAway(
            f"memory.embedder.model: fastembed has no model {name}; "
            "`TextEmbedding.list_supported_models()` lists those it has",
            code="embedder_unknown",
        )
    files = _files(folder, described)
    try:
        model = kind(
            described["model"],
            specific_model_path=str(files),
            threads=1,
            providers=["CPUExecutionProvider"],
        )
    except (OSError, ValueError) as error:
        raise EmbedderAway(f"memory.embedder.folder: {files}: {error}", code="embedder_changed") from error
    digest = sha256_of(files / described["model_file"])[:8]
    return FastEmbed(
        model,
        fingerprint=f"{PREFIX}{described['model']}-{described['dim']}-{digest}",
        dimensions=described["dim"],
    )


def _library() -> type[TextEmbedding]:
    try:
        return cast("type[TextEmbedding]", import_module("fastembed").TextEmbedding)
    except ImportError as error:
        raise EmbedderAway(
            f"memory.embedder.model: fastembed cannot be imported ({error}); "
            "`pip install 'tidegate[fastembed]'`, or choose another embedder",
            code="embedder_not_installed",
        ) from error


def _files(folder: Path, described: Mapping[str, Any]) -> Path:
    """Return the folder that has all files of the model."""
    needed = (described["model_file"], *described["additional_files"], *_TOKENIZER)
    cached = f"models--{(described['sources'].get('hf') or '').replace('/', '--')}/snapshots/*"
    for found in (folder, *sorted(folder.glob(cached), reverse=True)):
        if all((found / name).is_file() for name in needed):
            return found
    name = described["model"]
    raise EmbedderAway(
        f"memory.embedder.folder: {folder} has no {' or no '.join(needed)} of {name}; put them there, or fetch them: "
        f"""`python -c "from fastembed import TextEmbedding; TextEmbedding('{name}', cache_dir='{folder}')"`""",
        code="embedder_not_installed",
    )
