"""A provider of responses that keeps what it made, for each key apart; a script for `tests.fakes.provider`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tests.fakes.provider import Received, Script, refusal, sse

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 26,
}


def event(kind: str, number: int, **said: object) -> bytes:
    """One typed event."""
    data = msgspec.json.encode({"type": kind, "sequence_number": number, **said})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def message(text: str) -> dict[str, Any]:
    """An output item that says something."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def stream(whole: Mapping[str, Any], *, pause_s: float = 0, padding: int = 0) -> list[bytes]:
    """The events of a stream that ends with this response."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item = whole["output"][0]
    at = {"output_index": 0, "item_id": item["id"], "content_index": 0}
    words = ["Hel", "lo ", "tide"]
    kinds: list[tuple[str, dict[str, object]]] = [
        ("response.created", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": []}}),
        ("response.content_part.added", {**at, "part": {**item["content"][0], "text": ""}}),
        *[("response.output_text.delta", {**at, "delta": w, "obfuscation": "x" * padding}) for w in words],
        (f"response.{whole['status']}", {"response": dict(whole)}),
    ]
    return [event(kind, i, **said) for i, (kind, said) in enumerate(kinds)]


class Keeper:
    """Answers as OpenAI does; every request is one of `Provider.requests`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}
        """By key and id."""
        self.inputs: dict[str, list[dict[str, Any]]] = {}
        """By id, oldest first."""

    def __call__(self, request: Received) -> Script:
        """Answer one request."""
        path, _, query = request.path.partition("?")
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.method == "POST" and path.endswith("/responses"):
            return self._make(key, request.json())
        response_id, _, below = path.partition("/responses/")[2].partition("/")
        found = self.kept.get((key, response_id))
        if found is None:
            return refusal(404, f"Response with id '{response_id}' not found.")
        if request.method == "DELETE":
            del self.kept[key, response_id]
            return _json({"id": response_id, "object": "response", "deleted": True})
        if below == "cancel":
            return _json({**found, "status": "cancelled"})
        if below == "input_items":
            items = self.inputs[response_id][::-1]
            ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]}
            return _json({"object": "list", "data": items, **ends, "has_more": False})
        if parse_qs(query).get("stream") == ["true"]:
            return sse(stream(found)[int(parse_qs(query).get("starting_after", ["-1"])[0]) + 1 :])
        return _json(found)

    def _make(self, key: str, asked: dict[str, Any]) -> Script:
        previous = asked.get("previous_response_id")
        if previous and (key, previous) not in self.kept:
            return refusal(400, f"Previous response with id '{previous}' not found.")
        made = {
            "id": f"resp_{self._name}_{len(self.kept)}",
            "object": "response",
            "created_at": 1_760_000_000,
            "model": asked["model"],
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "background": bool(asked.get("background")),
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "output": [message("Hello tide")],
            "previous_response_id": previous,
            "usage": USAGE,
        }
        if asked.get("store") is not False:
            self.kept[key, made["id"]] = made
            self.inputs[made["id"]] = _items(asked.get("input", ""))
        if asked.get("stream"):
            return sse(stream(made))
        if asked.get("background"):
            return _json({**made, "status": "queued", "output": [], "usage": None})
        return _json(made)


def _items(said: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    items = (
        [{"role": "user", "content": [{"type": "input_text", "text": said}]}]
        if isinstance(said, str)
        else said
    )
    return [{"id": f"msg_{number}", "type": "message", **item} for number, item in enumerate(items)]


def _json(said: object) -> Script:
    return Script(body=msgspec.json.encode(said))
