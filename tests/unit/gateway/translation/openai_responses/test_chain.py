from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translation.openai_responses.chain import (
    final_response,
    input_items,
    output_items,
    with_history,
)
from tests.fakes.responses import event, message

encode, decode = msgspec.json.encode, msgspec.json.decode
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": "{}",
    "status": "completed",
}


def answer(*output: dict[str, Any]) -> bytes:
    return encode({"id": "resp_1", "object": "response", "status": "completed", "output": list(output)})


def kept(request: bytes, said: bytes) -> list[msgspec.Raw]:
    """What is known of a conversation after an answer."""
    return [*input_items(request), *output_items(final_response(said))]


def test_a_follow_up_holds_the_whole_conversation() -> None:
    first = encode({"model": "m", "input": "What is the tide?", "instructions": "Be brief", "tools": []})
    output = {"type": "function_call_output", "call_id": "c1", "output": "high"}
    second = {"model": "m", "previous_response_id": "resp_1", "input": [output], "temperature": 0.5}
    body = with_history(encode(second), kept(first, answer(CALL)))
    asked = {"type": "message", "role": "user", "content": "What is the tide?"}
    assert decode(body) == {"model": "m", "input": [asked, CALL, output], "temperature": 0.5}

    third = encode({"model": "m", "previous_response_id": "resp_2", "input": "Sure?"})
    body = with_history(third, kept(body, answer(message("High."))))
    again = {"type": "message", "role": "user", "content": "Sure?"}
    assert decode(body) == {"model": "m", "input": [asked, CALL, output, message("High."), again]}


def test_instructions_are_not_inherited() -> None:
    items = kept(encode({"input": "Hi", "instructions": "Be a pirate"}), answer(message("Arr")))
    assert b"pirate" not in with_history(encode({"input": "Who are you?"}), items)


def test_every_value_keeps_its_bytes() -> None:
    items = kept(b'{"input":[{"type":"reasoning" , "x":1.50}]}', b'{"output":[{"y":"\\u00e4"}]}')
    assert encode(items) == b'[{"type":"reasoning" , "x":1.50},{"y":"\\u00e4"}]'
    body = with_history(b'{"temperature":1.0e0,"previous_response_id":"resp_1"}', items)
    assert body == b'{"temperature":1.0e0,"input":' + encode(items) + b"}"


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_the_answer_may_be_a_stream(kind: str) -> None:
    whole = decode(answer(message("Hi tide")))
    stream = (
        event("response.created", 0, response={**whole, "output": []})
        + event("response.output_text.delta", 1, delta='"response.completed"')
        + event(kind, 2, response=whole)
    )
    assert kept(b'{"input":[]}', stream) == [msgspec.Raw(encode(message("Hi tide")))]
    with pytest.raises(ValueError, match="no end"):
        final_response(stream[:200])


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":{"message":"no"}}', b'{"output":3}'])
def test_what_is_no_answer_has_no_items(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        output_items(final_response(body))


def test_a_follow_up_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(BadRequest, match="input"):
        with_history(b'{"input":3}', [])
