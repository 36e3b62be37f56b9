from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from memory import wordllama
from memory.errors import EmbedderAway
from memory.wordllama import WordLlama, load

WORDS = {"[unk]": 0, "green": 1, "tea": 2, "boat": 3}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    made = Tokenizer(models.WordLevel(WORDS, unk_token="[unk]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_a_text_is_the_mean_of_its_words(tokenizer):
    model = WordLlama(np.eye(4, dtype=np.float16), tokenizer)
    green, tea, both = model.embed(["green", "tea", "green tea"])
    assert float(green @ tea) == 0
    assert float(green @ both) == pytest.approx(0.7071, abs=1e-3)
    assert all(vector.dtype == np.float32 for vector in (green, tea, both))
    assert "-4-" in model.fingerprint


def test_no_word_at_all_still_has_a_vector(tokenizer):
    (vector,) = WordLlama(np.eye(4, dtype=np.float16), tokenizer).embed([""])
    assert float(np.linalg.norm(vector)) == pytest.approx(1)


def _file(dtype: str) -> bytes:
    table = np.arange(6, dtype=np.float16).reshape(3, 2)
    entry = {"dtype": dtype, "shape": [3, 2], "data_offsets": [0, 12]}
    header = msgspec.json.encode({"embedding.weight": entry})
    return len(header).to_bytes(8, "little") + header + table.tobytes()


def test_the_table_is_read_from_the_file_by_hand():
    assert wordllama._table(_file("F16")).tolist() == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(EmbedderAway):
        wordllama._table(_file("F32"))


def test_the_package_as_it_is_published():
    pytest.importorskip("wordllama")
    model = load()
    dog, asked, capital = model.embed(
        ["My dog is called Rex", "what is my dog's name?", "The capital of France"]
    )
    assert float(dog @ asked) > float(dog @ capital)
    assert model.dimensions == 256
