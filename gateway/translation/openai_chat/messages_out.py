"""Writes messages for a provider."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from gateway.translation.conversation import (
    Media,
    Message,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.openai_chat.models import signs_calls, wants_thoughts
from gateway.translation.openai_chat.thoughts import extra_of

_LONGEST_ID = 40
"""OpenAI has refused longer ids of calls (https://github.com/agno-agi/agno/issues/5382, 2025-11), though it also took one
of 51 (https://github.com/vercel/ai/pull/17233, 2026-07)."""
_AUDIO = {
    "audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/pcm": "pcm16", "audio/x-wav": "wav", "audio/wave": "wav",
}  # fmt: skip
_BLANK = " "
"""As much of a thought as DeepSeek is content with. Source: litellm 1.106.2, llms/deepseek (2026-11)."""


class Messages:
    """Writes messages one after another; `lost` gathers what has no place in them."""

    def __init__(self, request: Request, model: str) -> None:
        self.written: list[dict[str, Any]] = []
        self.lost: dict[str, None] = {}
        """In the order in which it was met."""
        self._thinks = wants_thoughts(model)
        """It wants thoughts back, and words as strings only."""
        self._blank = _BLANK if request.tools else ""
        self._signs = signs_calls(model)
        if request.system:
            self._add("system", self._contents(request.system))
        for message in request.messages:
            self._take(message)

    def _take(self, message: Message) -> None:
        match message.role:
            case "user":
                self._user(message)
            case "assistant":
                self._assistant(message)
            case "system":
                self._add("system", self._contents(message.parts), message.name)

    def _add(self, role: str, content: Any, name: str = "") -> dict[str, Any]:  # noqa: ANN401 - JSON
        said = {"role": role, "content": content}
        if name:
            said["name"] = name
        self.written.append(said)
        return said

    def _user(self, message: Message) -> None:
        """Write results first, then the pictures in them, which no result can hold, and what the user says."""
        shown: list[Part] = []
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            words = [part for part in result.parts if isinstance(part, Text)]
            shown.extend(part for part in result.parts if isinstance(part, Media))
            self._note_cache(result)
            if result.failed:
                self.lost["failed"] = None
            self._add("tool", self._contents(words))["tool_call_id"] = short_id(result.id)
        shown.extend(part for part in message.parts if not isinstance(part, ToolResult))
        if shown or not results:
            self._add("user", self._contents(shown), message.name)

    def _assistant(self, message: Message) -> None:
        thoughts: list[str] = []
        content: list[Text] = []
        calls: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        for part in message.parts:
            match part:
                case Text():
                    content.append(part)
                case ToolCall():
                    calls.append(self._call(part))
                case Thinking(origin="" | "openai"):
                    thoughts.append(part.text)
                case Refusal():
                    more["refusal"] = more.get("refusal", "") + part.text
                case Media(kind="audio", origin="openai", file_id=file_id) if file_id:
                    more["audio"] = {"id": file_id}
                case Media():
                    self.lost[part.kind] = None
                case _:  # others' thoughts
                    pass
        if calls:
            more["tool_calls"] = calls
        if self._thinks and (thought := "".join(thoughts) or self._blank):
            more["reasoning_content"] = thought
        said = self._add("assistant", self._contents(content) if content or not more else None, message.name)
        said.update(more)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._note_cache(call)
        signed = self._signs and call.origin == "gemini"
        return {
            "id": short_id(call.id),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
            **(extra_of(call) if signed else {}),
        }

    def _contents(self, parts: Sequence[Part]) -> str | list[dict[str, Any]]:
        """Return one text as a string, and several parts as a list."""
        if len(parts) == 1 and isinstance(part := parts[0], Text):
            self._note_text(part)
            return part.text
        contents = [said for part in parts if (said := self._content(part)) is not None]
        if not contents:
            return ""
        if self._thinks and all(said["type"] == "text" for said in contents):
            return "\n\n".join(said["text"] for said in contents)
        return contents

    def _content(self, part: Part) -> dict[str, Any] | None:
        match part:
            case Text():
                self._note_text(part)
                return {"type": "text", "text": part.text}
            case Media():
                self._note_cache(part)
                said = _media(part)
                if said is None:
                    self.lost[part.kind] = None
                elif part.cite:
                    self.lost["cite"] = None
                return said
            case _:
                return None

    def _note_text(self, part: Text) -> None:
        self._note_cache(part)
        if part.citations:
            self.lost["citations"] = None

    def _note_cache(self, part: Text | Media | ToolCall | ToolResult) -> None:
        if part.cache is not None:
            self.lost["cache"] = None


def short_id(id_: str) -> str:
    """Return a call's id, or as much of its digest as OpenAI takes."""
    if len(id_) <= _LONGEST_ID:
        return id_
    return "call_" + hashlib.sha256(id_.encode()).hexdigest()[: _LONGEST_ID - 5]


def _media(part: Media) -> dict[str, Any] | None:
    """Return a part of a user's message; None if the format has no such thing."""
    match part:
        case Media(kind="image") if part.data or part.url:
            image = {"url": part.url or data_url(part)}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Media(kind="audio") if part.data:
            form = _AUDIO.get(part.media_type) or part.media_type.partition("/")[2] or "wav"
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
        case Media(kind="document") if part.text:
            return {"type": "text", "text": f"{part.name}\n\n{part.text}" if part.name else part.text}
        case Media(kind="document") if part.data:
            return {
                "type": "file",
                "file": {"filename": part.name or "document", "file_data": data_url(part)},
            }
        case Media(kind="document", origin="openai") if part.file_id:
            return {"type": "file", "file": {"file_id": part.file_id}}
    return None


_UNKNOWN = {"image": "image/png", "document": "application/pdf", "audio": "audio/wav", "video": "video/mp4"}
"""What it most probably is, where nobody said it."""


def data_url(part: Media) -> str:
    """Return what is in the part as a URL."""
    return f"data:{part.media_type or _UNKNOWN[part.kind]};base64,{part.data}"
