"""Responses that are kept here, as their provider would tell them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.providers.held import HeldResponse
from gateway.providers.sandbox import Sandbox

RESPONSE = msgspec.Raw(b'{"id":"resp_1", "output":[]}')
ITEMS = (
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "Hm."},
    {"type": "function_call_output", "id": "fco_1", "call_id": "c", "output": "rain"},
)


def told(method: str = "GET", below: str = "", items: tuple[dict[str, Any], ...] = ITEMS) -> bytes:
    raw = [msgspec.Raw(msgspec.json.encode(item)) for item in items]
    held = HeldResponse(Sandbox(), method, below, RESPONSE, raw)
    return held.request("openai.responses", {}, b"", secret="", stream=False).body


def test_a_response_is_told_as_the_client_got_it() -> None:
    assert told() == bytes(RESPONSE)


def test_a_deletion_names_what_is_gone() -> None:
    assert msgspec.json.decode(told("DELETE")) == {"id": "resp_1", "object": "response", "deleted": True}


def test_items_are_listed_newest_first_and_at_length() -> None:
    listed = msgspec.json.decode(told(below="/input_items"))

    output, answer, question = listed["data"]
    assert output == ITEMS[2]
    assert question == {
        "id": "item_0",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "hello"}],
    }
    assert answer["content"] == [{"type": "output_text", "text": "Hm."}]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("fco_1", "item_0", False)


def test_no_items_have_no_ends() -> None:
    listed = msgspec.json.decode(told(below="/input_items", items=()))

    assert (listed["data"], listed["first_id"], listed["last_id"]) == ([], None, None)


def test_what_is_done_cannot_be_cancelled() -> None:
    with pytest.raises(BadRequest, match="background"):
        told("POST", "/cancel")
