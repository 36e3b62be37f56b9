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

    assert (talk.turns, talk.anchors[-1]) == (["one", "two"], 2)


def test_a_block_becomes_one_more_part_and_the_rest_keeps_its_bytes():
    said = b'{"contents": [{"parts":  [{"text": "hi"}], "role": "user"}], "x": 1.00}'

    after = ContentsConversation(said).remember([(-1, "known")])

    assert after == b'{"contents":[{"parts":[{"text": "hi"},{"text":"known"}],"role":"user"}],"x":1.00}'


def test_nothing_is_looked_up_where_the_last_turn_has_no_words():
    result = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
    told = {"role": "function", "parts": result["parts"]}

    for last in (result, told):
        talk = ContentsConversation(body(user("one"), last))
        assert (talk.anchors, talk.fresh) == ([0], False)
    assert ContentsConversation(body(result)).anchors == []
    assert ContentsConversation(body(user("one"))).fresh


@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_the_profile_is_the_last_part_of_the_instructions(name):
    said = (
        b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"%b":{"parts":[ {"text" : "s"} ],"role":"x"}}'
    )

    after = ContentsConversation(said % name.encode()).remember([], "P")

    assert after == said.replace(b'[ {"text" : "s"} ]', b'[{"text" : "s"},{"text":"P"}]') % name.encode()


def test_without_instructions_the_profile_is_all_of_them():
    after = msgspec.json.decode(ContentsConversation(body(user("hi"))).remember([], "P"))

    assert after == {"contents": [user("hi")], "systemInstruction": {"parts": [{"text": "P"}]}}


def test_beside_cached_content_there_is_no_place_for_a_profile():
    assert ContentsConversation(body(user("hi"))).profiled
    assert not ContentsConversation(body(user("hi"), cachedContent="cachedContents/1")).profiled
    assert not ContentsConversation(body(user("hi"), cached_content="cachedContents/1")).profiled


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

    after = msgspec.json.decode(talk.remember([(-1, block)]))["contents"]

    assert after[talk.anchors[-1]]["parts"].pop() == {"text": block}
    assert after == contents
