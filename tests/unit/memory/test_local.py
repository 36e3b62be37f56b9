from __future__ import annotations

import importlib.util

from memory import minilm, wordllama
from memory.embed import HashedWords
from memory.local import embedder_here
from memory.minilm import MiniLm


def test_the_model_is_used_where_it_is_installed(tmp_path):
    assert isinstance(embedder_here(tmp_path), MiniLm)


def test_without_any_model_words_are_enough_and_it_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(minilm, "_MODEL", ("no_such_package_here", "x"))
    monkeypatch.setattr(wordllama, "_WEIGHTS", ("no_such_package_here", "x"))
    assert isinstance(embedder_here(tmp_path), HashedWords)
    assert caplog.text.count("embedder_missing") == 2


def test_without_its_runtime_the_model_is_not_even_imported(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    assert not isinstance(embedder_here(tmp_path), MiniLm)
