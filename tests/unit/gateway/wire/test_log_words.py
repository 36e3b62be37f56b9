"""What a list shows of a log."""

from __future__ import annotations

import pytest

from gateway.wire.log_words import words
from gateway.wire.preview import preview


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"prompt_messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}', "b"),
        (b'{"messages": [{"content": [{"type": "image"}, {"type": "text", "text": "seen"}]}]}', "seen"),
        (b'{"input": "asked", "prompt_messages": []}', "asked"),
        (b'{"output": "said"}', "said"),
        (b'{"completion_message": {"role": "assistant", "content": "said"}}', "said"),
        (b'{"model": "x"}', ""),
        (b'{"cut off', ""),
    ],
)
def test_the_words_of_a_log_are_those_that_were_asked_or_answered(body: bytes, shown: str) -> None:
    assert words("application/json", body) == shown


def test_a_log_without_words_shows_its_beginning() -> None:
    assert preview("log", "application/json", b'{"model":"x"}') == '{"model":"x"}'
