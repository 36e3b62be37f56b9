from __future__ import annotations

import importlib.util

import pytest

from memory import minilm, wordllama
from memory.embed import HashedWords
from memory.errors import EmbedderAway
from memory.local import embedder_here, former_by, former_here
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


def test_an_embedder_of_before_is_made_by_its_fingerprint(tmp_path):
    for now in (embedder_here(tmp_path), HashedWords()):
        assert type(former_here(tmp_path, now.fingerprint)) is type(now)
    for gone in ("minilm-of-another-kind", "nothing-like-this", ""):
        with pytest.raises(EmbedderAway):
            former_here(tmp_path, gone)


def test_another_model_behind_the_same_endpoint_is_one_of_before(tmp_path):
    find = former_by(lambda body: b"")
    found = find(tmp_path, "endpoint-text-embedding-3-small-1536")
    assert (found.fingerprint, found.dimensions) == ("endpoint-text-embedding-3-small-1536", 1536)
    assert isinstance(find(tmp_path, HashedWords.fingerprint), HashedWords)
    with pytest.raises(EmbedderAway):
        find(tmp_path, "endpoint-without-a-number")
