"""Writes an answer for a client.

Source: OpenAI's OpenAPI file, `CreateChatCompletionResponse` (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.translation.openai_chat.answer import (
    TIERS,
    annotation_of,
    call_id,
    logprobs_of,
    reason_of,
    usage_of,
)
from gateway.translation.openai_chat.messages_out import data_url
from gateway.translation.openai_chat.thoughts import blocks_of, extra_of


def write_reply(reply: Reply, answering: Answering) -> bytes:
    """Write the answer as one document."""
    message = _Message(answering)
    for part in reply.parts:
        message.take(part)
    reason = reason_of(reply.stop, called=bool(message.calls), refused=bool(message.refusal))
    choice: dict[str, Any] = {
        "index": 0,
        "message": message.said(),
        "logprobs": logprobs_of(reply.logprobs),
        "finish_reason": reason,
    }
    if reply.stop_sequence:
        choice["stop_reason"] = reply.stop_sequence
    document: dict[str, Any] = {
        "id": reply.id or answer_id(answering),
        "object": "chat.completion",
        "created": answering.created_s,
        "model": reply.model or answering.model,
        "choices": [choice],
    }
    if reply.usage is not None:
        document["usage"] = usage_of(reply.usage)
    if reply.service_tier in TIERS:
        document["service_tier"] = reply.service_tier
    return msgspec.json.encode(document)


def answer_id(answering: Answering) -> str:
    """Return the id of an answer to which its provider gave none."""
    return f"chatcmpl-{answering.call_id}"


class _Message:
    """Gathers the parts of an answer into one message, which has one of each kind."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._text = ""
        self._thoughts: list[Thinking] = []
        self._annotations: list[dict[str, Any]] = []
        self._media: dict[str, Any] = {}
        self.refusal = ""
        self.calls: list[dict[str, Any]] = []

    def take(self, part: Text | Media | Thinking | ToolCall | Refusal) -> None:
        """Take the next part."""
        match part:
            case Text():
                begin = len(self._text)
                self._text += part.text
                for citation in part.citations:
                    if (said := annotation_of(citation, begin, len(self._text))) is not None:
                        self._annotations.append(said)
            case Thinking():
                self._thoughts.append(part)
            case ToolCall():
                self.calls.append(self._call(part))
            case Refusal():
                self.refusal += part.text
            case Media():
                self._show(part)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        return {
            "id": call_id(call.id, self._answering.call_id, len(self.calls)),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
            **extra_of(call),
        }

    def _show(self, part: Media) -> None:
        if part.kind == "image":
            image = {"type": "image_url", "image_url": {"url": part.url or data_url(part)}}
            self._media.setdefault("images", []).append(image)
        elif part.kind == "audio":
            self._media["audio"] = audio_of(part.data, self._answering)

    def said(self) -> dict[str, Any]:
        """Return the message."""
        silent = not self._text and bool(self.calls or self.refusal or self._media)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if silent else self._text,
            "refusal": self.refusal or None,
        }
        if shown := "".join(thought.text for thought in self._thoughts):
            message["reasoning_content"] = shown
        if blocks := blocks_of(self._thoughts):
            message["thinking_blocks"] = blocks
        if self._annotations:
            message["annotations"] = self._annotations
        if self.calls:
            message["tool_calls"] = self.calls
        return message | self._media


def audio_of(data: str, answering: Answering) -> dict[str, Any]:
    """Return spoken words, which nobody keeps: they expire as soon as they are made."""
    return {
        "id": f"audio_{answering.call_id}",
        "data": data,
        "transcript": "",
        "expires_at": answering.created_s,
    }
