from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.openai_response_items import ItemsReading, without_ours
from memory.render import block_of, profile_of

BLOCK = block_of(["- [2026-01-02] She lives in Lisbon"])
PROFILE = profile_of(["- [2026-01-02] Call me Ada"])


def item(item_id: str, *texts: str, role: str = "user") -> dict[str, Any]:
    content = [{"type": "input_text", "text": text} for text in texts]
    return {"id": item_id, "type": "message", "role": role, "content": content}


def listed(*items: dict[str, Any]) -> bytes:
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]}
    return msgspec.json.encode({"object": "list", "data": items, **ends, "has_more": False})


def read(*chunks: bytes) -> bytes:
    reading = ItemsReading()
    return b"".join([*(reading.feed(chunk) for chunk in chunks), reading.end()])


def test_our_parts_and_items_are_not_told() -> None:
    call = {"id": "c", "type": "function_call", "arguments": "{}"}
    body = listed(
        item("u2", "and then?", BLOCK), call, item("u1", "hi"), item("d", PROFILE, role="developer")
    )

    found = msgspec.json.decode(read(body[:50], body[50:]))

    assert found == {
        "object": "list",
        "data": [item("u2", "and then?"), call, item("u1", "hi")],
        "first_id": "u2",
        "last_id": "u1",
        "has_more": False,
    }


def test_a_list_of_nothing_but_ours_is_empty() -> None:
    found = msgspec.json.decode(read(listed(item("d", PROFILE))))

    assert (found["data"], found["first_id"], found["last_id"]) == ([], None, None)


def test_however_a_provider_writes_json_our_parts_are_found() -> None:
    body = listed(item("u", "hi", BLOCK)).replace(b"<", b"\\u003c").replace(b">", b"\\u003e")

    assert b"Lisbon" not in read(body)


@pytest.mark.parametrize(
    "body",
    [
        listed(item("u", "hi < there")),
        listed(item("u", "what is <recalled-memories>?")),
        b"",
        b"{}",
        b"[]",
        b"\xff",
    ],
)
def test_what_holds_nothing_of_ours_says_the_same(body: bytes) -> None:
    found = read(body)

    assert found == body or msgspec.json.decode(found) == msgspec.json.decode(body)


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: f'{{"data":[{{"content":[{BLOCK!r}{text}'.encode())
)
def test_no_bytes_are_too_strange(body: bytes) -> None:
    without_ours(body)
