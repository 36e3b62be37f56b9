"""The sandbox's chat completions, as OpenAI words them.

Source for the shapes: OpenAI's OpenAPI description and recorded answers (2024-11 to 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.providers.sandbox_schema import instance
from gateway.providers.sandbox_script import CREATED, Script, digest, number, regrouped, tokens

_encode = msgspec.json.encode


class Completion(msgspec.Struct, kw_only=True):
    """One answer, before it is put into JSON or a stream. Token lists are the sandbox's own tokens."""

    id: str
    model: str
    pieces: list[str]
    tool_calls: list[dict[str, Any]]
    finish_reason: str
    count: int
    """How many choices."""
    usage: dict[str, Any] | None

    def document(self) -> bytes:
        """Return the answer as one JSON document."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if self.tool_calls else "".join(self.pieces),
            "refusal": None,
            "annotations": [],
        }
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        choices = [
            {"index": i, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
            for i in range(self.count)
        ]
        answer = self._frame("chat.completion", choices)
        if self.usage is not None:
            answer["usage"] = self.usage
        return _encode(answer)

    def events(self, *, include_usage: bool, chunks: int | None) -> Iterator[bytes]:
        """Yield the events of a stream, `[DONE]` included."""
        extra: dict[str, Any] = {"usage": None} if include_usage else {}
        opening: dict[str, Any] = {
            "role": "assistant",
            "content": None if self.tool_calls else "",
            "refusal": None,
        }
        deltas = [opening, *self._deltas(chunks)]
        for delta in deltas:
            for i in range(self.count):
                yield self._event([_choice(i, delta, None)], extra)
        for i in range(self.count):
            yield self._event([_choice(i, {}, self.finish_reason)], extra)
        if include_usage and self.usage is not None:
            yield self._event([], {"usage": self.usage})
        yield b"data: [DONE]\n\n"

    def _deltas(self, chunks: int | None) -> Iterator[dict[str, Any]]:
        for i, call in enumerate(self.tool_calls):
            function = call["function"]
            yield {"tool_calls": [{"index": i, **call, "function": {**function, "arguments": ""}}]}
            for piece in tokens(function["arguments"]):
                yield {"tool_calls": [{"index": i, "function": {"arguments": piece}}]}
        if not self.tool_calls:
            for piece in regrouped(self.pieces, chunks):
                yield {"content": piece}

    def _event(self, choices: list[dict[str, Any]], extra: dict[str, Any]) -> bytes:
        return b"data: " + _encode({**self._frame("chat.completion.chunk", choices), **extra}) + b"\n\n"

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": CREATED,
            "model": self.model,
            "choices": choices,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
        }


def completion(model: str, body: dict[str, Any], script: Script, seed: bytes) -> Completion:
    """Work out the answer; raise BadRequest where OpenAI would refuse the request."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a non-empty array.", param="messages")
    count = number(body, "n", 1, 128)
    calls = _tool_calls(body, messages, script, seed)
    pieces = [] if calls else tokens(_answer_text(body, messages, script))
    reason = "tool_calls" if calls else "stop"
    most = _most_tokens(body)
    if most is not None and len(pieces) > most:
        pieces, reason = pieces[:most], "length"
    written = len(pieces) + sum(len(tokens(call["function"]["arguments"])) for call in calls)
    usage = _usage(sum(len(tokens(text_of(m))) + 3 for m in messages), written * count)
    return Completion(
        id="chatcmpl-" + digest(seed)[:29],
        model=f"sandbox/{model}",
        pieces=pieces,
        tool_calls=calls,
        finish_reason=script.finish_reason or reason,
        count=count,
        usage=usage if script.usage is msgspec.UNSET else script.usage,
    )


def text_of(message: object) -> str:
    """Return the text of a message: its content, or the text parts of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return "\n".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return content if isinstance(content, str) else ""


def _answer_text(body: dict[str, Any], messages: list[Any], script: Script) -> str:
    if script.text is not None:
        return script.text
    users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    echo = text_of(users[-1] if users else messages[-1])
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        return _encode({"echo": echo}).decode()
    if kind == "json_schema":
        inner = wanted.get("json_schema") if isinstance(wanted, dict) else None
        return _encode(instance(inner.get("schema") if isinstance(inner, dict) else {})).decode()
    return echo


def _tool_calls(
    body: dict[str, Any], messages: list[Any], script: Script, seed: bytes
) -> list[dict[str, Any]]:
    if script.tool_calls is not None:
        wanted = [(call["name"], call.get("arguments", {})) for call in script.tool_calls]
    else:
        wanted = _chosen(body, messages)
    return [
        {
            "id": "call_" + digest(seed, str(i).encode())[:24],
            "type": "function",
            "function": {"name": name, "arguments": _encode(arguments).decode()},
        }
        for i, (name, arguments) in enumerate(wanted)
    ]


def _chosen(body: dict[str, Any], messages: list[Any]) -> list[tuple[str, Any]]:
    """Call the tool that was named, or the first; none after a tool's result or if the text is scripted."""
    choice = body.get("tool_choice")
    last = messages[-1]
    tools = body.get("tools")
    scripted = isinstance(body.get("sandbox"), dict) and "text" in body["sandbox"]
    if not isinstance(tools, list) or choice == "none" or scripted:
        return []
    if isinstance(last, dict) and last.get("role") in {"tool", "function"}:
        return []
    functions = [t["function"] for t in tools if isinstance(t, dict) and isinstance(t.get("function"), dict)]
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        functions = [f for f in functions if f.get("name") == choice["function"].get("name")]
        if not functions:
            raise BadRequest("Tool choice: the named function is not in 'tools'.", param="tool_choice")
    return [(str(f.get("name")), instance(f.get("parameters", {"type": "object"}))) for f in functions[:1]]


def _usage(read: int, written: int) -> dict[str, Any]:
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(index: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _most_tokens(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        if body.get(name) is not None:
            return number(body, name, 1, 1 << 31)
    return None
