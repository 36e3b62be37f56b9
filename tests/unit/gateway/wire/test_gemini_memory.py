from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.gemini_memory import ContentsConversation
from gateway.wire.turns import MOST_CHARS, MOST_TURNS


def body(*contents: object, **more: object) -> bytes:
    return msgspec.json.encode({"contents": contents, **more})


def user(*texts: str) -> dict[str, object]:
    return {"role": "user", "parts": [{"text": text} for text in texts]}


def test_the_users_words_are_read_oldest_first():
    talk = ContentsConversation(
        body(user("one"), {"role": "model", "parts": [{"text": "no"}]}, {"parts": [{"text": "two"}]})
    )

    assert (talk.turns, talk.anchor) == (["one", "two"], 2)


def test_a_block_becomes_one_more_part_and_the_rest_keeps_its_bytes():
    said = b'{"contents": [{"parts":  [{"text": "hi"}], "role": "user"}], "x": 1.00}'

    after = ContentsConversation(said).remember("known")

    assert after == b'{"contents":[{"parts":[{"text": "hi"},{"text":"known"}],"role":"user"}],"x":1.00}'


def test_nothing_is_asked_where_the_last_turn_has_no_words():
    result = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}

    assert ContentsConversation(body(user("one"), result)).turns == []


def test_only_so_much_is_read():
    many = ContentsConversation(body(*(user(str(number)) for number in range(20))))
    long = ContentsConversation(body(user("x"), user("y" * MOST_CHARS + "end")))

    assert many.turns == [str(number) for number in range(20 - MOST_TURNS, 20)]
    assert len(long.turns) == 1
    assert long.turns[0].endswith("end")
    assert len(long.turns[0]) == MOST_CHARS


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b'{"contents": {}}', b'{"contents": [7]}', b'{"contents": [{"parts": null}]}', b"\xff"],
)
def test_what_no_provider_can_read_asks_nothing(said):
    assert ContentsConversation(said).turns == []


@given(
    st.lists(st.tuples(st.sampled_from(["user", "model"]), st.text(max_size=5)), max_size=4),
    st.text(min_size=1),
)
def test_remembering_adds_a_part_and_changes_nothing_else(turns, block):
    contents = [{"role": role, "parts": [{"text": text}]} for role, text in turns]
    talk = ContentsConversation(body(*contents))
    if not talk.turns:
        return

    after = msgspec.json.decode(talk.remember(block))["contents"]

    assert after[talk.anchor]["parts"].pop() == {"text": block}
    assert after == contents
