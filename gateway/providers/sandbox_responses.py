"""The sandbox's responses, as OpenAI words them.

Source for the shapes: OpenAI's OpenAPI description and recorded answers (2026-04 to 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.providers.sandbox_schema import instance
from gateway.providers.sandbox_script import CREATED, Script, digest, number, regrouped, tokens

_encode = msgspec.json.encode

_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_CUT_SHORT = frozenset({"max_output_tokens", "content_filter"})
_DEFAULTS: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response says of its request, and what it says if the request did not."""


class Response(msgspec.Struct, kw_only=True):
    """One answer, before it is put into JSON or a stream."""

    id: str
    model: str
    asked: dict[str, Any]
    """The request's settings, defaults filled in."""
    items: list[dict[str, Any]]
    """What is put out, finished."""
    pieces: list[str]
    """Tokens of the text, or of the calls' arguments."""
    cut_short: str
    """Why it is incomplete; empty if it is not."""
    usage: dict[str, Any] | None

    @property
    def final(self) -> str:
        """The status it ends with."""
        return "incomplete" if self.cut_short else "completed"

    def document(self) -> bytes:
        """Return the answer as one JSON document; of one that runs in the background, that it is queued."""
        return _encode(self.at("queued" if self.asked["background"] else self.final))

    def at(self, status: str) -> dict[str, Any]:
        """Return the response as it looks when it has this status."""
        over = status == self.final
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "completed_at": CREATED if status == "completed" else None,
            "error": None,
            "incomplete_details": {"reason": self.cut_short} if over and self.cut_short else None,
            "model": self.model,
            "output": self.items if over else [],
            "usage": self.usage if over else None,
            **self.asked,
        }

    def events(self, *, include_usage: bool, chunks: int | None) -> Iterator[bytes]:  # noqa: ARG002 - it is always told
        """Yield the events of a stream."""
        for i, (kind, said) in enumerate(self._steps(chunks)):
            data = _encode({"type": kind, "sequence_number": i, **said})
            yield b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    def _steps(self, chunks: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "response.created", {"response": self.at("in_progress")}
        yield "response.in_progress", {"response": self.at("in_progress")}
        for i, item in enumerate(self.items):
            parts = self._call(item, i) if item["type"] == "function_call" else self._message(item, i, chunks)
            yield from parts
        yield f"response.{self.final}", {"response": self.at(self.final)}

    def _message(
        self, item: dict[str, Any], index: int, chunks: int | None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        part = item["content"][0]
        at = {"output_index": index, "item_id": item["id"], "content_index": 0}
        opened = {**item, "status": "in_progress", "content": []}
        yield "response.output_item.added", {"output_index": index, "item": opened}
        yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
        for piece in regrouped(self.pieces, chunks):
            yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**at, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {**at, "part": part}
        yield "response.output_item.done", {"output_index": index, "item": item}

    def _call(self, item: dict[str, Any], index: int) -> Iterator[tuple[str, dict[str, Any]]]:
        at = {"output_index": index, "item_id": item["id"]}
        opened = {**item, "status": "in_progress", "arguments": ""}
        yield "response.output_item.added", {"output_index": index, "item": opened}
        for piece in tokens(item["arguments"]):
            yield "response.function_call_arguments.delta", {**at, "delta": piece}
        done = {**at, "name": item["name"], "arguments": item["arguments"]}
        yield "response.function_call_arguments.done", done
        yield "response.output_item.done", {"output_index": index, "item": item}


def response(model: str, body: dict[str, Any], script: Script, seed: bytes, response_id: str) -> Response:
    """Work out the answer; raise BadRequest where OpenAI would refuse the request."""
    items = input_items(body, seed)
    most = body.get("max_output_tokens")
    most = None if most is None else number(body, "max_output_tokens", 1, 1 << 31)
    calls = _calls(body, items, script, seed)
    pieces = [] if calls else tokens(_answer_text(body, items, script))
    cut_short = script.finish_reason if script.finish_reason in _CUT_SHORT else ""
    if most is not None and len(pieces) > most:
        pieces, cut_short = pieces[:most], "max_output_tokens"
    written = len(pieces) + sum(len(tokens(call["arguments"])) for call in calls)
    read = sum(len(tokens(text_of(item))) + 3 for item in items) + len(
        tokens(str(body.get("instructions") or ""))
    )
    usage = _usage(read, written)
    return Response(
        id=response_id,
        model=f"sandbox/{model}",
        asked={name: _said(body, name) for name in _DEFAULTS},
        items=calls or [_message("".join(pieces), seed, whole=not cut_short)],
        pieces=pieces,
        cut_short=cut_short or "",
        usage=usage if script.usage is msgspec.UNSET else script.usage,
    )


def input_items(body: dict[str, Any], seed: bytes) -> list[dict[str, Any]]:
    """Return what the request put in, as items with ids; raise BadRequest."""
    said = body.get("input")
    if isinstance(said, str):
        said = [{"role": "user", "content": said}]
    elif said is None and (body.get("previous_response_id") or body.get("prompt")):
        said = []
    if not isinstance(said, list) or not all(isinstance(item, dict) for item in said):
        raise BadRequest("Invalid 'input': expected a text or a list of items.", param="input")
    return [_item(item, digest(seed, b"in%d" % i)[:32]) for i, item in enumerate(said)]


def text_of(item: dict[str, Any]) -> str:
    """Return the text of an item: of its content, or of a tool's output."""
    content = item.get("content") or item.get("output")
    if isinstance(content, list):
        return "\n".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return content if isinstance(content, str) else ""


def _item(said: dict[str, Any], name: str) -> dict[str, Any]:
    kind = said.get("type", "message")
    item = {"id": f"{'msg' if kind == 'message' else 'item'}_{name}", "type": kind, "status": "completed"}
    item |= said
    if kind == "message" and isinstance(said.get("content"), str):
        part = "output_text" if said.get("role") == "assistant" else "input_text"
        item["content"] = [{"type": part, "text": said["content"]}]
    return item


def _answer_text(body: dict[str, Any], items: list[dict[str, Any]], script: Script) -> str:
    if script.text is not None:
        return script.text
    users = [item for item in items if item.get("role") == "user"] or items
    echo = text_of(users[-1]) if users else ""
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, dict) else None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        return _encode({"echo": echo}).decode()
    if kind == "json_schema" and isinstance(wanted, dict):
        return _encode(instance(wanted.get("schema"))).decode()
    return echo


def _calls(
    body: dict[str, Any], items: list[dict[str, Any]], script: Script, seed: bytes
) -> list[dict[str, Any]]:
    if script.tool_calls is not None:
        wanted = [(call["name"], call.get("arguments", {})) for call in script.tool_calls]
    else:
        wanted = _chosen(body, items)
    return [
        {
            "id": "fc_" + digest(seed, b"fc%d" % i)[:32],
            "type": "function_call",
            "status": "completed",
            "call_id": "call_" + digest(seed, str(i).encode())[:24],
            "name": name,
            "arguments": _encode(arguments).decode(),
        }
        for i, (name, arguments) in enumerate(wanted)
    ]


def _chosen(body: dict[str, Any], items: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Call the function that was named, or the first; none after a tool's output or if the text is scripted."""
    choice = body.get("tool_choice")
    tools = body.get("tools")
    scripted = isinstance(body.get("sandbox"), dict) and "text" in body["sandbox"]
    if not isinstance(tools, list) or choice == "none" or scripted:
        return []
    if items and items[-1].get("type") in _OUTPUTS:
        return []
    functions = [tool for tool in tools if isinstance(tool, dict) and tool.get("type") == "function"]
    if isinstance(choice, dict) and choice.get("type") == "function":
        functions = [tool for tool in functions if tool.get("name") == choice.get("name")]
        if not functions:
            raise BadRequest("Tool choice: the named function is not in 'tools'.", param="tool_choice")
    return [(str(f.get("name")), instance(f.get("parameters") or {"type": "object"})) for f in functions[:1]]


def _message(text: str, seed: bytes, *, whole: bool) -> dict[str, Any]:
    return {
        "id": "msg_" + digest(seed, b"msg")[:32],
        "type": "message",
        "status": "completed" if whole else "incomplete",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def _said(body: dict[str, Any], name: str) -> object:
    """Return a setting as the response repeats it: objects with their defaults filled in."""
    said, default = body.get(name), _DEFAULTS[name]
    if said is None:
        return default
    if name == "tools" and isinstance(said, list):
        return [_tool(tool) for tool in said if isinstance(tool, dict)]
    return {**default, **said} if isinstance(default, dict) and isinstance(said, dict) else said


def _tool(said: dict[str, Any]) -> dict[str, Any]:
    if said.get("type") != "function":
        return said
    return {"description": None, "parameters": None, "strict": True, **said}


def _usage(read: int, written: int) -> dict[str, Any]:
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
