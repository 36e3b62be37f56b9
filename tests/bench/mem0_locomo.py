"""Mem0's side of `locomo.py`, run by the interpreter of a venv that has Mem0: DATASET MODELS -> ranked turns as JSON.

Same texts and same embedder as ours; words kept as they are (`infer=False`), vectors in Qdrant's local mode.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import msgspec

from memory.embed import Embedder
from memory.minilm import load
from tests.bench.conversations import KS, read


class SameEmbedder:
    """Our embedder as Mem0 calls one."""

    def __init__(self, model: Embedder) -> None:
        self._model = model

    def embed(self, text: str, memory_action: str = "") -> list[float]:
        """Return the vector of a text; the action does not matter to this model."""
        del memory_action
        vector: list[float] = self._model.embed([text])[0].tolist()
        return vector

    def embed_batch(self, texts: list[str], memory_action: str = "") -> list[list[float]]:
        """Return the vectors of texts."""
        return [self.embed(text, memory_action) for text in texts]


def opened(folder: str, model: Embedder) -> Any:
    """Return a Mem0 that speaks to nobody; it is not installed where types are checked."""
    config = {
        "vector_store": {
            "provider": "qdrant",
            "config": {"path": folder, "on_disk": True, "embedding_model_dims": model.dimensions},
        },
        "llm": {"provider": "openai", "config": {"api_key": "none"}},
        "embedder": {"provider": "openai", "config": {"api_key": "none"}},
        "history_db_path": f"{folder}/history.db",
    }
    memory = importlib.import_module("mem0").Memory.from_config(config)
    memory.embedding_model = SameEmbedder(model)
    return memory


def main(dataset: Path, models: Path) -> None:
    """Add everything, ask everything, print the answers on one line."""
    answers: list[tuple[list[str], float]] = []
    with tempfile.TemporaryDirectory() as folder:
        memory = opened(folder, load(models))
        for conversation in read(dataset):
            turns: dict[str, str] = {}
            for turn in conversation.turns:
                message = {"role": "user", "content": turn.dated}
                added = memory.add([message], user_id=conversation.id, infer=False)
                turns |= {row["id"]: turn.id for row in added["results"]}
            for asked in conversation.questions:
                began = time.perf_counter()
                found = memory.search(
                    asked.text, filters={"user_id": conversation.id}, top_k=max(KS), threshold=0.0
                )
                seconds = time.perf_counter() - began
                answers.append(([turns[row["id"]] for row in found["results"]], seconds))
    sys.stdout.write("\n" + msgspec.json.encode(answers).decode() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
