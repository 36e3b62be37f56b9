from __future__ import annotations

import pytest
from msgspec import UNSET, Raw

from gateway.translation.conversation import Text, Thinking
from gateway.translation.gemini.turn import Turn, arguments_of


@pytest.mark.parametrize(
    ("args", "text"), [(UNSET, "{}"), (Raw(b"null"), "{}"), (Raw(b'{"a": 1}'), '{"a": 1}')]
)
def test_arguments_keep_their_text(args, text):
    assert arguments_of(args) == text


def test_words_join_only_words_and_thoughts_only_unsigned_thoughts():
    turn = Turn()

    turn.think("a", None, join=True)
    turn.think("b", "AA==", join=True)
    turn.think("c", None, join=True)
    turn.say("d", None, join=True)
    turn.say("e", None, join=True)
    turn.say("f", None, join=False)

    assert turn.parts == [
        Thinking(text="ab", signature="AA==", origin="gemini"),
        Thinking(text="c"),
        Text("de"),
        Text("f"),
    ]
