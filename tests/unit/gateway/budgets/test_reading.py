"""What a request has a model read has a bound if it stands in it, and none if it only points to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.budgets.reading import FRAME, PICTURE, TOOLS, Outside, beyond_text, decode


def said(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


FUNCTION = {
    "type": "function",
    "function": {"name": "fetch", "parameters": {"properties": {"url": {}, "file_id": {}}}},
}


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ({"messages": [{"role": "user", "content": 'see "url" and "file_id" and {"type": "file"}'}]}, FRAME),
        ({"tools": [FUNCTION]}, FRAME + TOOLS),
        ({"tools": [{"name": "fetch", "input_schema": {"properties": {"file_path": {}}}}]}, FRAME + TOOLS),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, FRAME + TOOLS),
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, FRAME + TOOLS),
        (said({"type": "tool_use", "input": {"type": "file", "file_id": "x"}}), FRAME),
        (said({"type": "tool_result", "content": [{"type": "text", "text": "x"}]}), FRAME),
        (said({"type": "document", "source": {"type": "text", "data": "x"}}), FRAME),
        (said({"type": "image_url", "image_url": {"url": "https://x"}}), FRAME + PICTURE),
        (said(*[{"type": "image", "source": {"type": "base64", "data": "x"}}] * 3), FRAME + 3 * PICTURE),
        ({"input": [{"content": [{"type": "input_image", "file_id": "f"}]}]}, FRAME + PICTURE),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "x"}}]}]},
            FRAME + PICTURE,
        ),
        ({"contents": [{"parts": [{"functionResponse": {"response": {"file_data": {}}}}]}]}, FRAME),
        (
            {"messages": [{"content": [{"image": {"format": "png", "source": {"bytes": "x"}}}]}]},
            FRAME + PICTURE,
        ),
        ({"conversation": None, "previous_response_id": "", "tools": None, "mcp_servers": []}, FRAME),
    ],
)
def test_what_stands_in_the_body_is_bounded(asked: dict[str, Any], tokens: int) -> None:
    assert beyond_text(asked) == tokens


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"cachedContent": "c"}, "cachedContent"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search"),
        ({"tools": [{"googleSearch": {}}]}, "googleSearch"),
        (
            {"tools": [{"functionDeclarations": [], "fileSearch": {"fileSearchStoreNames": ["x"]}}]},
            "fileSearch",
        ),
        ({"tools": [{"googleMaps": {}}]}, "googleMaps"),
        ({"tools": [{"type": ["function"]}]}, "no text"),
        (said({"type": {}}), "no text"),
        ({"models": ["openai/o1-pro"]}, "models"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"tools": [{"type": "mcp", "server_url": "https://x"}]}, "mcp"),
        (said({"type": "file", "file": {"file_id": "f"}}), "file"),
        (said({"type": "document", "source": {"type": "url", "url": "https://x"}}), "document"),
        (
            said({"type": "tool_result", "content": [{"type": "document", "source": {"type": "file"}}]}),
            "document",
        ),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "gs://x"}}]}]}, "fileData"),
        ({"contents": [{"parts": [{"functionResponse": {"parts": [{"fileData": {}}]}}]}]}, "fileData"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "x"}}]}]}, "pdf"),
        ({"messages": [{"content": [{"document": {"format": "pdf"}}]}]}, "document"),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "audio"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
    ],
)
def test_what_the_body_points_to_has_no_bound(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(Outside, match=why):
        beyond_text(asked)


def test_a_body_that_cannot_be_read_has_no_bound() -> None:
    with pytest.raises(Outside):
        decode(b'{"a": ')
    assert decode(b"[1]") == {}


def test_deep_bodies_are_walked_to_their_end() -> None:
    asked: Any = {"type": "file"}
    for _ in range(300):
        asked = {"content": [asked]}
    with pytest.raises(Outside):
        beyond_text({"messages": [msgspec.json.decode(msgspec.json.encode(asked))]})
