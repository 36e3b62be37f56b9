from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from typing_extensions import override

from memory import fastembed, minilm
from memory.errors import EmbedderAway
from memory.fastembed import load
from memory.local import embedder_named
from memory.packaged import installed
from memory.records import Vector

NAME = "BAAI/bge-small-en-v1.5"
FILES = ("model_optimized.onnx", "tokenizer.json", "tokenizer_config.json")


class Fake(fastembed.TextEmbedding):
    """As fastembed 0.9.1 has it; its vectors are as long as the text."""

    made: ClassVar[list[tuple[str, str, int]]] = []

    def __init__(
        self, model_name: str, *, specific_model_path: str, threads: int, providers: Sequence[str]
    ) -> None:
        if not Path(specific_model_path, FILES[0]).read_bytes():
            raise ValueError("the file is empty")
        self.made.append((model_name, specific_model_path, threads))

    @classmethod
    @override
    def list_supported_models(cls) -> list[dict[str, Any]]:
        sources = {"hf": "qdrant/bge-small-en-v1.5-onnx-q", "url": None}
        return [{"model": NAME, "dim": 3, "model_file": FILES[0], "additional_files": [], "sources": sources}]

    @override
    def embed(self, documents: list[str]) -> Iterable[Vector]:
        assert len(documents) == 1, "a vector must not depend on its company"
        yield np.array([len(documents[0]), 0, 1], dtype=np.float32)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("fastembed")
    module.TextEmbedding = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastembed", module)
    monkeypatch.setattr(Fake, "made", [])


def filled(folder: Path, content: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.usefixtures("package")
def test_a_model_is_taken_from_the_folder_with_its_files(tmp_path):
    files = filled(tmp_path / "bge")
    model = embedder_named(f"fastembed/{NAME.lower()}", str(files))(tmp_path / "nothing here")

    assert Fake.made == [(NAME, str(files), 1)]
    assert model.dimensions == 3
    vectors = model.embed(["a", "a longer one"])
    assert [round(float(np.linalg.norm(vector)), 5) for vector in vectors] == [1, 1]
    assert vectors[0][0] < vectors[1][0]


@pytest.mark.usefixtures("package")
def test_a_model_is_found_in_a_cache_of_fastembeds(tmp_path):
    snapshots = tmp_path / "models--qdrant--bge-small-en-v1.5-onnx-q" / "snapshots"
    files = filled(snapshots / "a1")
    (snapshots / "b2").mkdir()  # a download that broke

    embedder_named(f"fastembed/{NAME}")(tmp_path)

    assert Fake.made == [(NAME, str(files), 1)]


@pytest.mark.usefixtures("package")
def test_the_index_of_other_weights_is_another_one(tmp_path):
    one, other = (load(filled(tmp_path / name, name.encode()), NAME).fingerprint for name in ("a", "b"))
    assert one.startswith(f"fastembed/{NAME}-3-")
    assert one != other


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "absent", "said"),
    [
        (NAME, "tokenizer_config.json", ("memory.embedder.folder", "tokenizer_config.json", "cache_dir=")),
        (NAME, FILES[0], ("memory.embedder.folder", FILES[0])),
        ("nobody/knows-it", "", ("memory.embedder.model", "nobody/knows-it", "list_supported_models")),
    ],
)
def test_what_is_missing_is_named_with_its_setting_and_a_remedy(tmp_path, name, absent, said):
    files = filled(tmp_path / "bge")
    if absent:
        (files / absent).unlink()
    with pytest.raises(EmbedderAway) as caught:
        load(files, name)
    assert all(part in str(caught.value) for part in said)
    assert Fake.made == []


@pytest.mark.usefixtures("package")
def test_files_that_cannot_be_read_are_said_to_be_those(tmp_path):
    with pytest.raises(EmbedderAway, match=r"memory\.embedder\.folder"):
        load(filled(tmp_path / "bge", b""), NAME)


def test_without_the_package_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(EmbedderAway, match=r"memory\.embedder\.model.*tidegate\[fastembed\]") as caught:
        embedder_named(f"fastembed/{NAME}", str(tmp_path))(tmp_path)
    assert caught.value.code == "embedder_not_installed"


def test_the_package_as_it_is_published(tmp_path):
    pytest.importorskip("fastembed")
    (tmp_path / "model.onnx").symlink_to(installed(*minilm._MODEL))
    (tmp_path / "tokenizer.json").symlink_to(installed(*minilm._TOKENIZER))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 256, "pad_token": "[PAD]"}')
    ours = minilm.MiniLm(installed(*minilm._MODEL), installed(*minilm._TOKENIZER), variant="f32")

    model = load(tmp_path, "sentence-transformers/all-MiniLM-L6-v2")

    texts = ["My dog is called Rex", "what is the name of my dog?", "The capital of France"]
    for theirs, own in zip(model.embed(texts), ours.embed(texts), strict=True):
        assert float(theirs @ own) > 0.999
    assert (model.dimensions, ours.dimensions) == (384, 384)
