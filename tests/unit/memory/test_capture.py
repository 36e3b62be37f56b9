from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.capture import MAX_TEXT, cut, heard, same_of, text_of, turns_of, user_turns
from memory.records import Said
from memory.render import block_of
from tests.fakes.memory_parts import ALICE, KEY


def test_only_what_the_user_says_is_taken():
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are Rex"},
        {"role": "developer", "content": "Be nice"},
        {"role": "user", "content": " I like tea "},
        {"role": "assistant", "content": "I like tea too", "tool_calls": []},
        {"role": "tool", "content": "the user likes coffee"},
        {"role": "user", "content": ""},
        {"role": "user"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "and"}, {"type": "input_text", "text": "milk"}],
        },
        {"content": "nobody"},
    ]
    assert list(user_turns(messages)) == [(2, "I like tea"), (7, "and\nmilk")]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "image_url", "image_url": {"url": "x"}}], ""),
        ([{"type": "tool_result", "content": "x"}, {"type": "text", "text": "hello"}], "hello"),
        ([{"type": "text"}, {"type": "text", "text": None}, "loose", None], ""),
        ([{"type": "text", "text": "<system-reminder>be kind"}, {"type": "text", "text": "hello"}], "hello"),
        (None, ""),
        (7, ""),
        ({"text": "x"}, ""),
    ],
)
def test_parts_that_are_no_text_of_the_user_are_left_out(content, text):
    assert text_of(content) == text


@pytest.mark.parametrize(
    "said",
    [
        "I like tea",
        [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "I like tea"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So do I"}]},
            {"type": "function_call_output", "call_id": "c", "output": "milk"},
        ],
    ],
)
def test_the_input_of_a_response_is_read_as_well(said):
    found = heard(msgspec.json.encode({"input": said}), ALICE, call_id="c", occurred_at_us=1)

    assert found is not None
    assert list(user_turns(found.messages)) == [(0, "I like tea")]


def test_geminis_contents_are_read_as_well():
    contents = [
        {"role": "user", "parts": [{"text": "I like tea"}, {"inlineData": {}}]},
        {"role": "model", "parts": [{"text": "So do I"}]},
        {"parts": [{"text": "and milk"}]},
        {"role": "user", "parts": "nonsense"},
        "nonsense",
    ]
    said = heard(
        msgspec.json.encode({"contents": contents}), ALICE, call_id="c", occurred_at_us=1, thread_id="t"
    )

    assert said is not None
    assert list(user_turns(said.messages)) == [(0, "I like tea"), (2, "and milk")]


def test_a_block_of_ours_that_a_client_sends_back_is_not_remembered():
    block = block_of(["- [2026-01-01] I like tea"])
    assert text_of(block) == ""
    assert text_of([{"type": "text", "text": "hello"}, {"type": "text", "text": block}]) == "hello"
    assert text_of(f"hello\n{block}") == text_of([{"type": "text", "text": f"{block} hello"}]) == "hello"


def test_turns_carry_their_evidence_and_no_secret():
    said = Said(
        call_id="c7",
        scope=ALICE,
        occurred_at_us=9,
        thread_id="t",
        messages=[{"role": "user", "content": "my key is sk-1"}],
    )
    (turn,) = turns_of(said, key=KEY, redact=lambda text: text.replace("sk-1", "[secret]"))
    assert turn.draft.text == "my key is [secret]"
    assert turn.draft.occurred_at_us == 9
    assert turn.draft.evidence is not None
    assert (turn.draft.evidence.call_id, turn.draft.evidence.message_index) == ("c7", 0)
    assert (turn.draft.evidence.quote, turn.draft.evidence.thread_id) == ("my key is [secret]", "t")


def test_a_long_turn_is_cut_at_a_word():
    text = "word " * 1000
    assert len(cut(text)) <= MAX_TEXT + 2
    assert cut(text).endswith("word …")
    assert cut("x" * (MAX_TEXT + 1)) == "x" * MAX_TEXT + " …"
    assert cut("x" * MAX_TEXT) == "x" * MAX_TEXT


def test_what_reads_the_same_has_the_same_digest():
    assert same_of(KEY, "I like tea!") == same_of(KEY, "i LIKE tea")
    assert same_of(KEY, "?!") != same_of(KEY, "!?")


def test_a_journalled_body_becomes_what_was_said():
    body = msgspec.json.encode(
        {"model": "m", "messages": [{"role": "user", "content": "I like tea"}, "loose"]}
    )
    said = heard(body, ALICE, call_id="c", occurred_at_us=5, thread_id="t")
    assert said == Said(
        call_id="c",
        scope=ALICE,
        occurred_at_us=5,
        thread_id="t",
        messages=[{"role": "user", "content": "I like tea"}],
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"input": 7}',
        b'{"messages": {}}',
        b'{"messages": [{"role": "system", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "I like t',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b"\xff\xfe",
        b'{"messages": ' + b"[" * 100_000,
    ],
)
def test_a_body_in_which_no_user_speaks_is_passed_over(body):
    assert heard(body, ALICE, call_id="c", occurred_at_us=5) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.sampled_from(["user", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "messages"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": JSON}) | JSON, max_size=4))
def test_no_body_stops_capture(messages):
    said = heard(msgspec.json.encode({"messages": messages}), ALICE, call_id="c", occurred_at_us=5)
    if said is not None:
        assert turns_of(said, key=KEY, redact=str)
