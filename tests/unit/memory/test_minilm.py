from __future__ import annotations

import errno
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from memory import minilm
from memory.minilm import MiniLm, load
from memory.packaged import installed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder: Path) -> MiniLm:
    return load(folder)


def test_a_question_is_nearer_to_its_answer_than_the_gate_and_others_are_not(model):
    dog, asked, capital, lisbon, live = model.embed(
        [
            "My dog is called Rex",
            "what is the name of my dog?",
            "What is the capital of France?",
            "I live in Lisbon",
            "where do I live?",
        ]
    )
    assert float(dog @ asked) > model.gate
    assert float(lisbon @ live) > model.gate
    assert float(dog @ capital) < model.gate
    assert float(dog @ live) < model.gate


def test_a_vector_does_not_depend_on_its_company(model):
    alone = model.embed(["I live in Lisbon"])[0]
    among = model.embed(["I live in Lisbon", "a much longer text " * 40, ""])
    assert np.array_equal(alone, among[0])
    assert all(abs(float(np.linalg.norm(vector)) - 1) < 1e-5 for vector in among)


def test_the_model_is_quantised_once_and_stays_near_the_original(model, folder):
    (made,) = folder.glob("*.onnx")
    before = made.stat()
    again = load(folder)
    assert (made.stat().st_mtime_ns, again.fingerprint) == (before.st_mtime_ns, model.fingerprint)
    source = installed(*minilm._MODEL)
    original = MiniLm(source, installed(*minilm._TOKENIZER), variant="f32")
    assert original.fingerprint != model.fingerprint
    text = ["I am allergic to peanuts"]
    assert float(original.embed(text)[0] @ model.embed(text)[0]) > 0.97


def test_a_quantised_file_that_a_crash_or_a_hand_has_changed_is_not_used(model, folder, tmp_path):
    (made,) = folder.glob("*.onnx")
    broken = tmp_path / made.name
    broken.write_bytes(made.read_bytes()[:1000])
    broken.with_suffix(".sha256").write_text(made.with_suffix(".sha256").read_text())
    assert not minilm._intact(broken)
    assert minilm._intact(made)


def test_without_the_quantiser_the_model_runs_as_shipped(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name))
    model = load(tmp_path)
    assert "-f32-" in model.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_quantised_model_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(minilm, "_ROOM", 1 << 62)
    with pytest.raises(OSError, match="No space left on device") as refused:
        load(tmp_path / "models")
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, str(tmp_path / "models"))
    monkeypatch.undo()
    assert "-q8-" in load(tmp_path / "models").fingerprint
