"""Writes a request for a response. Nothing is kept at the provider: the conversation is the client's.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

import msgspec

from gateway.translation.base import Written
from gateway.translation.conversation import (
    Media,
    Message,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.openai_responses.items_out import message_item, thought_item
from gateway.translation.openai_responses.parts import write_answer, write_media, write_text
from gateway.translation.openai_responses.request_in import LOGPROBS, THOUGHTS
from gateway.translation.openai_responses.settings_out import write_choice, write_format, write_reasoning
from gateway.translation.openai_responses.tools import Toolbox, write_tools

LEAST = 16
"""Tokens of an answer that may be asked for. Source: OpenAI's OpenAPI description, `max_output_tokens` (2026-11)."""

_THINKS = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d)(?!\S*-chat)|codex|computer-use)")
"""Models that may be asked for encrypted thoughts; others refuse ("Encrypted content is not supported with this
model", github.com/pydantic/pydantic-ai/issues/2865 and 3326, 2025-11)."""
_MARKS = re.compile(r"(?:.*/)?gpt-(?:5\.(?:[6-9]|\d\d)|[6-9]|\d\d)")
"""Models that know `prompt_cache_breakpoint`; the others cache as they think fit. Source:
https://developers.openai.com/api/docs/guides/prompt-caching (2026-11)."""
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_NO_PLACE = ("top_k", "stop", "seed", "frequency_penalty", "presence_penalty")


def write_request(request: Request, *, model: str) -> Written:
    """Write the request."""
    return _Writer(request, model).written()


class _Writer:
    def __init__(self, request: Request, model: str) -> None:
        self._request = request
        self._model = model
        self._marks = _MARKS.match(model) is not None
        self._toolbox = Toolbox(request.tools)
        self._freeform: set[str] = set()
        """Ids of calls of free-form tools, whose results are items of another type."""
        self._lost: dict[str, None] = {}

    def written(self) -> Written:
        request = self._request
        body: dict[str, object] = {"model": self._model, "store": False}
        items: list[object] = []
        self._system(body, items)
        for message in request.messages:
            self._message(message, items)
        body["input"] = items
        self._tools(body)
        self._settings(body)
        self._shape(body)
        for name in _NO_PLACE:
            if getattr(request, name) not in (None, ()):
                self._lose(name)
        return Written(msgspec.json.encode(body), tuple(self._lost))

    def _lose(self, name: str) -> None:
        self._lost[name] = None

    def _system(self, body: dict[str, object], items: list[object]) -> None:
        """Put the first words into `instructions`, unless they are to be cached, and the rest into a message."""
        rest = self._request.system
        if rest and not (self._marks and any(text.cache for text in rest)):
            if rest[0].cache is not None:
                self._lose("cache")
            body["instructions"] = rest[0].text
            rest = rest[1:]
        if rest:
            items.append(_message("system", self._said(rest)))

    def _message(self, message: Message, items: list[object]) -> None:
        if message.name:
            self._lose("name")
        for spoken, group in groupby(
            message.parts, key=lambda part: isinstance(part, Text | Media | Refusal)
        ):
            if not spoken:
                items += [item for part in group if (item := self._item(part)) is not None]
                continue
            said = [part for part in group if isinstance(part, Text | Media | Refusal)]
            parts = self._answered(said) if message.role == "assistant" else self._said(said)
            if not parts:
                continue
            item = _message(message.role, parts)
            if message.role == "assistant":
                item = message_item(f"msg_{len(items)}", parts, "completed")
            items.append(item)

    def _said(self, parts: Iterable[Text | Media | Refusal]) -> list[object]:
        written: list[object] = []
        for part in parts:
            if isinstance(part, Refusal):
                written.append(write_text(Text(part.text)))
                continue
            if part.cache is not None and not (self._marks and not part.cache.ttl):
                self._lose("cache")
            if isinstance(part, Text):
                written.append(write_text(part, explicit_cache=self._marks))
                continue
            if part.cite:
                self._lose("cite")
            media = write_media(part, explicit_cache=self._marks)
            if media is None:
                self._lose(part.kind)
            else:
                written.append(media)
        return written

    def _answered(self, parts: Iterable[Text | Media | Refusal]) -> list[object]:
        written: list[object] = []
        for part in parts:
            if isinstance(part, Media):
                self._lose(part.kind)
                continue
            written.append(write_answer(self._citing(part) if isinstance(part, Text) else part))
        return written

    def _citing(self, text: Text) -> Text:
        """Return the words with those of their citations that OpenAI knows."""
        if text.cache is not None:
            self._lose("cache")
        known = tuple(one for one in text.citations if one.url or (one.raw and one.origin == "openai"))
        if len(known) == len(text.citations):
            return text
        self._lose("citations")
        return msgspec.structs.replace(text, citations=known)

    def _item(self, part: object) -> dict[str, object] | None:
        match part:
            case Thinking(origin="openai") if part.signature:
                return thought_item(part, part.id)
            case ToolCall():
                if part.cache is not None:
                    self._lose("cache")
                if self._toolbox.is_freeform(part.name):
                    self._freeform.add(part.id)
                return self._toolbox.item(part)
            case ToolResult():
                return self._result(part)
            case _:
                return None  # a thought that nobody here can read

    def _result(self, result: ToolResult) -> dict[str, object]:
        if result.failed:
            self._lose("failed")
        kind = "custom_tool_call_output" if result.id in self._freeform else "function_call_output"
        parts = result.parts
        if result.cache is not None and parts:
            parts = (*parts[:-1], msgspec.structs.replace(parts[-1], cache=result.cache))
        written = self._said(parts)
        only = parts[0] if len(parts) == 1 else None
        output: object = written
        if not parts:
            output = ""
        elif isinstance(only, Text) and not (only.cache and self._marks):
            output = only.text
        return {"type": kind, "call_id": result.id, "output": output}

    def _tools(self, body: dict[str, object]) -> None:
        request = self._request
        if request.tools:
            body["tools"] = write_tools(request.tools)
            if any(tool.cache for tool in request.tools):
                self._lose("cache")
        if (choice := request.tool_choice) is not None:
            body["tool_choice"] = write_choice(choice, self._toolbox)
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls

    def _settings(self, body: dict[str, object]) -> None:
        request = self._request
        if request.max_tokens is not None:
            body["max_output_tokens"] = max(request.max_tokens, LEAST)
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.stream:
            body["stream"] = True
        if request.user:
            body["user"] = request.user
        if request.service_tier in _TIERS:
            body["service_tier"] = request.service_tier
        elif request.service_tier:
            self._lose("service_tier")

    def _shape(self, body: dict[str, object]) -> None:
        """Add what the answer is to look like, and what it is to hold besides words."""
        request = self._request
        text: dict[str, object] = {}
        if request.format is not None:
            text["format"] = write_format(request.format)
        if request.verbosity:
            text["verbosity"] = request.verbosity
        if text:
            body["text"] = text
        if request.reasoning is not None and (
            reasoning := write_reasoning(request.reasoning, request.max_tokens)
        ):
            body["reasoning"] = reasoning
        include = []
        if "reasoning" in body or _THINKS.match(self._model):
            include.append(THOUGHTS)
        if request.logprobs:
            include.append(LOGPROBS)
            if request.top_logprobs:
                body["top_logprobs"] = request.top_logprobs
        if include:
            body["include"] = include


def _message(role: str, parts: list[object]) -> dict[str, object]:
    return {"type": "message", "role": role, "content": parts}
