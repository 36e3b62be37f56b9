from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.sandbox_script import lorem, script_of, tokens


@given(st.text(max_size=200))
def test_tokens_join_to_the_text(text):
    found = tokens(text)

    assert "".join(found) == text
    assert all(len(piece.strip()) <= 4 for piece in found)


def test_lorem_has_exactly_so_many_tokens():
    assert [len(tokens(lorem(n))) for n in (0, 1, 50)] == [0, 1, 50]


def test_the_body_has_the_last_word():
    script = script_of("slow-100", {"sandbox": {"delay_ms": 5}})

    assert script.delay_ms == 5
    assert script_of("slow-100", {}).delay_ms == 100
