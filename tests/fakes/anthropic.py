"""What Anthropic would answer, for `tests.fakes.provider`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tests.fakes.provider import Received, Script, sse

MODEL = "claude-sonnet-4-6"
USAGE = {
    "input_tokens": 17,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 12,
    "output_tokens_details": {"thinking_tokens": 4},
    "service_tier": "standard",
}
HEADERS = (("request-id", "req_1"), ("anthropic-ratelimit-requests-remaining", "7"))
JSON = ("content-type", "application/json")


def event(kind: str, **fields: object) -> bytes:
    """One event as it is sent."""
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words}


def tool_use(name: str, **arguments: object) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}


def message(*content: dict[str, Any], model: str = MODEL) -> Script:
    """A message that is a document."""
    answer = _message(model, list(content or [text("Hello!")])) | {"stop_reason": _reason(content)}
    return Script(headers=(JSON, *HEADERS), body=msgspec.json.encode(answer))


def events(*content: dict[str, Any], model: str = MODEL) -> list[bytes]:
    """The events of the same message as a stream."""
    first = {**USAGE, "output_tokens": 1}
    del first["output_tokens_details"]
    found = [event("message_start", message={**_message(model, []), "usage": first})]
    for index, block in enumerate(content or [text("Hello!")]):
        words = block.get("text")
        if words is not None:
            start, deltas = text(""), [{"type": "text_delta", "text": part} for part in _parts(words)]
        else:
            said = msgspec.json.encode(block["input"]).decode()
            start = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *_parts(said))]
        found.append(event("content_block_start", index=index, content_block=start))
        found.append(event("ping"))
        found += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        found.append(event("content_block_stop", index=index))
    last = {name: count for name, count in USAGE.items() if name.endswith(("tokens", "details"))}
    found.append(event("message_delta", delta={"stop_reason": _reason(content)}, usage=last))
    return [*found, event("message_stop")]


def stream(told: Sequence[bytes], *, pause_s: float = 0) -> Script:
    """Events as an answer."""
    script = sse(told, pause_s=pause_s)
    return msgspec.structs.replace(script, headers=(*script.headers, *HEADERS))


def refusal(
    status: int, kind: str, said: str = "No.", *, headers: tuple[tuple[str, str], ...] = ()
) -> Script:
    """An error."""
    body = {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}
    return Script(status=status, headers=(JSON, *HEADERS, *headers), body=msgspec.json.encode(body))


def model_page(*names: str) -> Script:
    """A list of models."""
    models = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z"}
        for name in names
    ]
    return Script(headers=(JSON, *HEADERS), body=msgspec.json.encode({"data": models, "has_more": False}))


def anthropic(request: Received) -> Script:
    """Answer as asked: a list, a count, a message or a stream; call the tool of a request that has one, once."""
    path = request.path.partition("?")[0]
    if path == "/v1/models":
        return model_page(MODEL, "claude-opus-4-1")
    asked = request.json()
    if path == "/v1/messages/count_tokens":
        return Script(headers=(JSON, *HEADERS), body=b'{"input_tokens":14}')
    called = '"tool_result"' in request.body.decode()
    tools = [] if called else asked.get("tools") or []
    content = [text("It is "), tool_use(tools[0]["name"], city="Oslo")] if tools else [text("Hello, world!")]
    return stream(events(*content)) if asked.get("stream") else message(*content)


def _message(model: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    }


def _reason(content: Sequence[dict[str, Any]]) -> str:
    return "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"


def _parts(words: str) -> list[str]:
    return [words[i : i + 5] for i in range(0, len(words), 5)]
