"""User turns are read, a block is added after the last one, and nothing else changes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.openai_memory import ChatConversation
from gateway.wire.turns import MOST_CHARS, MOST_TURNS

BLOCK = 'She lives in "Lisbon" \\ é 😀\n'
PART = {"type": "text", "text": BLOCK}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def body_of(*messages: object, **more: object) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": messages, **more})


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def assistant(content: object, **more: object) -> dict[str, object]:
    return {"role": "assistant", "content": content, **more}


def after(body: bytes) -> Any:
    return msgspec.json.decode(ChatConversation(body).remember([(-1, BLOCK)]))


# --- reading ------------------------------------------------------------------------------------


def test_turns_are_what_the_user_said_oldest_first() -> None:
    parts = [{"type": "text", "text": "look"}, IMAGE, {"type": "text", "text": "here"}]
    body = body_of(
        {"role": "system", "content": "s"},
        user("one"),
        assistant("x"),
        user(parts),
        assistant("y"),
        user("3"),
    )

    said = ChatConversation(body)

    assert (said.turns, said.anchors[-1]) == (["one", "look\nhere", "3"], 5)


def test_inside_a_tool_loop_the_last_user_message_is_the_anchor() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    body = body_of(
        user("weather?"),
        assistant(None, tool_calls=calls),
        {"role": "tool", "content": "rain", "tool_call_id": "c"},
    )

    said = ChatConversation(body)

    assert (said.turns, said.anchors[-1]) == (["weather?"], 0)
    assert after(body)["messages"][0]["content"] == [{"type": "text", "text": "weather?"}, PART]


@pytest.mark.parametrize(
    "messages",
    [
        b"[]",
        b"null",
        b"7",
        b"[1]",
        b'["user"]',
        b'[{"role":"user"}]',
        b'[{"role":"user","content":null}]',
        b'[{"role":"user","content":7}]',
        b'[{"role":"user","content":""}]',
        b'[{"role":"user","content":" \\n"}]',
        b'[{"role":"user","content":[]}]',
        b'[{"role":"user","content":[7]}]',
        b'[{"role":"user","content":[{"type":"text","text":7}]}]',
        b'[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]',
        b'[{"role":"user","content":"\\ud800"}]',
        b'[{"role":"user","content":"\xff"}]',
        b'[{"role":["user"],"content":"x"}]',
        b'[{"role":"system","content":"x"}]',
    ],
)
def test_without_words_of_the_user_there_is_no_question(messages: bytes) -> None:
    assert ChatConversation(b'{"model":"m","messages":%b}' % messages).turns == []


def test_what_a_user_said_is_read_only_so_far_back() -> None:
    many = ChatConversation(body_of(*(user(f"turn {n}") for n in range(20))))
    long = ChatConversation(body_of(user("old"), user("x" * MOST_CHARS), user("new")))
    longest = ChatConversation(body_of(user("old"), user("begin" + "x" * MOST_CHARS)))

    assert many.turns == [f"turn {n}" for n in range(20 - MOST_TURNS, 20)]
    assert long.turns == ["new"]
    assert longest.turns == ["x" * MOST_CHARS]


def test_nothing_is_looked_up_while_functions_are_called_or_a_picture_is_shown() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    result = {"role": "tool", "content": "rain", "tool_call_id": "c"}
    asked = (user("weather?"), assistant(None, tool_calls=calls))

    assert ChatConversation(body_of(*asked)).fresh
    assert not ChatConversation(body_of(*asked, result)).fresh
    assert not ChatConversation(body_of(*asked, result, assistant("It"))).fresh
    assert not ChatConversation(body_of(user("look"), user([IMAGE]))).fresh
    assert ChatConversation(body_of(*asked, result, user("and tomorrow?"))).fresh
    assert ChatConversation(body_of(user("Complete:"), assistant("Once upon"))).fresh


# --- adding -------------------------------------------------------------------------------------


def test_a_text_keeps_its_bytes_and_gets_a_part_beside_it() -> None:
    text = b'"caf\\u00e9 \\/ \\ud83d\\ude00"'
    body = b'{"model":"m","messages":[{"content": %b ,"name":"ada","role":"user"}]}' % text

    changed = ChatConversation(body).remember([(-1, "B")])

    added = b'[{"type":"text","text":%b},{"type":"text","text":"B"}]' % text
    assert changed == b'{"model":"m","messages":[{"content":%b,"name":"ada","role":"user"}]}' % added


def test_parts_keep_their_bytes_and_get_one_more() -> None:
    parts = b'{"type":"text","text":"caf\\u00e9"},{ "type" : "image_url", "image_url":{"url":"x" , "n":1.0} }'
    body = b'{"messages":[{"role":"user","content":[%b]}]}' % parts

    changed = ChatConversation(body).remember([(-1, "B")])

    assert changed == b'{"messages":[{"role":"user","content":[%b,{"type":"text","text":"B"}]}]}' % parts


def test_a_key_that_is_not_utf8_is_a_bad_request() -> None:
    for body in (
        b'{"messages":[{"role":"user","content":"hi"}],"\xff":1}',
        b'{"messages":[{"role":"user","content":"hi","\xff":1}]}',
    ):
        with pytest.raises(BadRequest):
            ChatConversation(body).remember([(-1, BLOCK)])


def test_blocks_stand_behind_their_turns_and_the_profile_behind_the_instructions() -> None:
    body = body_of(
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        user("one"),
        assistant("x"),
        user([IMAGE, {"type": "text", "text": "two"}]),
        {"role": "system", "content": "late"},
        user("three"),
    )

    found = msgspec.json.decode(ChatConversation(body).remember([(0, "A"), (1, "B")], "P"))["messages"]

    assert found[:4] == [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        {"role": "developer", "content": "P"},
        user([{"type": "text", "text": "one"}, {"type": "text", "text": "A"}]),
    ]
    assert found[5]["content"] == [IMAGE, {"type": "text", "text": "two"}, {"type": "text", "text": "B"}]
    assert found[6:] == [{"role": "system", "content": "late"}, user("three")]


def test_without_instructions_the_profile_is_the_first_message() -> None:
    found = msgspec.json.decode(ChatConversation(body_of(user("hi"))).remember([], "P"))["messages"]

    assert found == [{"role": "system", "content": "P"}, user("hi")]


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(
        [b"1.0", b"1e2", b"-0", b"12345678901234567890123", b'{ "a" : [ 1 ,\n2.50 ] , "a": 0 }', b'"\\u00e9"']
    ).map(msgspec.Raw)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_more = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in {"role", "content"}), _json, max_size=3
)
_parts = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"]), "text": st.text()}), max_size=3
)
_message = st.builds(
    lambda role, content, more: {"role": role, **more, "content": content},
    st.sampled_from(["user", "assistant", "system", "tool"]),
    st.text() | _parts | st.none(),
    _more,
)
_top = st.dictionaries(st.text(max_size=8).filter(lambda name: name != "messages"), _json, max_size=4)


def raw(value: bytes) -> dict[str, bytes]:
    return {
        name: bytes(found) for name, found in msgspec.json.decode(value, type=dict[str, msgspec.Raw]).items()
    }


def raw_list(value: bytes) -> list[bytes]:
    return [bytes(found) for found in msgspec.json.decode(value, type=list[msgspec.Raw])]


@given(messages=st.lists(_message, max_size=6), top=_top, block=st.text(min_size=1))
def test_adding_a_block_changes_nothing_else(messages: list[Any], top: dict[str, Any], block: str) -> None:
    body = msgspec.json.encode({**top, "messages": messages})
    said = ChatConversation(body)
    if not said.turns:
        return

    changed = raw(said.remember([(-1, block)]))

    before = raw(body)
    old, new = raw_list(before.pop("messages")), raw_list(changed.pop("messages"))
    assert changed == before
    last = said.anchors[-1]
    assert messages[last]["role"] == "user"
    assert [one for index, one in enumerate(new) if index != last] == [
        one for index, one in enumerate(old) if index != last
    ]
    was, became = raw(old[last]), raw(new[last])
    content, parts = was.pop("content"), raw_list(became.pop("content"))
    assert became == was
    assert msgspec.json.decode(parts.pop()) == {"type": "text", "text": block}
    assert parts == (
        [b'{"type":"text","text":%b}' % content] if content.startswith(b'"') else raw_list(content)
    )


@given(
    body=st.binary(max_size=60)
    | st.binary(max_size=40).map(lambda odd: b'{"messages":[{"role":"user",%b}]}' % odd)
)
def test_no_bytes_are_too_strange(body: bytes) -> None:
    said = ChatConversation(body)
    if said.turns:
        with suppress(BadRequest):
            said.remember([(-1, BLOCK)])


def test_a_body_nested_too_deeply_asks_nothing() -> None:
    deep = b"[" * 100_000

    assert ChatConversation(b'{"messages":%b' % deep).turns == []
    assert ChatConversation(b'{"messages":[{"role":"user","content":%b' % deep).turns == []
