from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory.embed import HashedWords, unit


@given(st.text())
def test_every_text_has_a_vector_of_length_one(text):
    (vector,) = HashedWords().embed([text])
    assert vector.shape == (384,)
    assert vector.dtype == np.float32
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5


def test_texts_that_share_words_are_near_each_other():
    dog, again, tea = HashedWords().embed(["my dog Rex", "Rex, the dog", "green tea"])
    assert float(dog @ again) > 0.9
    assert float(dog @ tea) < 0.3


def test_the_vector_of_nothing_is_a_vector():
    assert unit(np.zeros(3, dtype=np.float32)).tolist() == [1, 0, 0]
    assert unit(np.array([np.nan, 1], dtype=np.float32)).tolist() == [1, 0]
