"""User turns are read, a block is added after the last one, and nothing else changes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.openai_response_memory import InputConversation

BLOCK = 'She lives in "Lisbon" \\ é 😀\n'
PART = {"type": "input_text", "text": BLOCK}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}


def body_of(said: object, **more: object) -> bytes:
    return msgspec.json.encode({"model": "m", "input": said, **more})


def after(body: bytes) -> Any:
    return msgspec.json.decode(InputConversation(body).remember([(-1, BLOCK)]))


def test_words_alone_become_a_message_with_the_block_behind_them() -> None:
    body = body_of("where do I live?", temperature=0.2)

    said = InputConversation(body)

    assert (said.turns, said.anchors[-1]) == (["where do I live?"], 0)
    content = [{"type": "input_text", "text": "where do I live?"}, PART]
    message = {"type": "message", "role": "user", "content": content}
    assert after(body) == {"model": "m", "input": [message], "temperature": 0.2}


def test_the_block_stands_behind_the_last_user_message_also_inside_a_tool_loop() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, IMAGE]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I see"}]},
        {"type": "message", "role": "user", "content": "and the weather?"},
        call,
        {"type": "function_call_output", "call_id": "c", "output": "rain"},
    ]

    said = InputConversation(body_of(items))
    found = after(body_of(items))

    assert (said.turns, said.anchors[-1]) == (["look", "and the weather?"], 3)
    assert not said.fresh
    items[3]["content"] = [{"type": "input_text", "text": "and the weather?"}, PART]
    assert found["input"] == items


def test_every_other_value_keeps_its_bytes() -> None:
    body = b'{"model":"m","input":[ {"role":"user","content":[ {"type": "input_text","text":"a","x":1.50} ]} ],"top_p":1e0}'

    found = InputConversation(body).remember([(-1, "b")])

    assert b'{"type": "input_text","text":"a","x":1.50}' in found
    assert b'"top_p":1e0' in found


def test_the_profile_is_an_item_behind_the_clients_instructions() -> None:
    items = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    told = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "P"}]}

    found = msgspec.json.decode(InputConversation(body_of(items)).remember([], "P"))
    alone = msgspec.json.decode(InputConversation(body_of("hi", instructions="i")).remember([], "P"))

    assert found["input"] == [items[0], told, items[1]]
    assert alone["input"][0] == {**told, "role": "developer"}
    assert alone["instructions"] == "i", "answers repeat it"


def test_what_goes_on_from_a_kept_response_has_its_profile_and_is_a_conversation_of_its_own() -> None:
    begun, gone_on = (
        InputConversation(body_of("yes")),
        InputConversation(body_of("yes", previous_response_id="r1")),
    )
    again = InputConversation(body_of("yes", previous_response_id="r1"))

    assert (begun.profiled, gone_on.profiled) == (True, False)
    assert begun.chain != gone_on.chain == again.chain
    assert InputConversation(body_of("yes", previous_response_id="r2")).chain != gone_on.chain


@pytest.mark.parametrize(
    "said",
    [
        [],
        None,
        7,
        "",
        "  ",
        [7],
        [{"role": "user"}],
        [{"role": "user", "content": [IMAGE]}],
        [{"type": "reasoning"}],
    ],
)
def test_where_nothing_is_asked_in_words_there_is_no_turn(said: object) -> None:
    assert InputConversation(body_of(said)).turns == []


@given(st.binary(max_size=40) | st.text(max_size=40).map(body_of))
def test_no_body_makes_it_raise_anything_but_our_errors(body: bytes) -> None:
    said = InputConversation(body)
    if said.turns:
        with suppress(BadRequest):
            said.remember([(-1, BLOCK)])
