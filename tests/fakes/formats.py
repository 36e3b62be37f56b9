"""The same conversation as clients of four formats send it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Wire
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_responses import OpenAIResponses


def _chat(said: Sequence[str]) -> object:
    messages = [{"role": "user", "content": one} for one in said]
    return {"model": "m", "messages": _answered(messages, {"role": "assistant", "content": "I see."})}


def _anthropic(said: Sequence[str]) -> object:
    messages = [{"role": "user", "content": [{"type": "text", "text": one}]} for one in said]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "I see."}]}
    return {"model": "m", "max_tokens": 9, "messages": _answered(messages, answer)}


def _responses(said: Sequence[str]) -> object:
    items = [{"role": "user", "content": one} for one in said]
    answer = {"role": "assistant", "content": "I see."}
    return {"model": "m", "store": False, "input": _answered(items, answer)}


def _gemini(said: Sequence[str]) -> object:
    contents = [{"role": "user", "parts": [{"text": one}]} for one in said]
    return {"contents": _answered(contents, {"role": "model", "parts": [{"text": "I see."}]})}


def _answered(turns: Sequence[dict[str, Any]], answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for turn in turns for one in (turn, answer)][:-1]


WIRES: tuple[tuple[Wire, Callable[[Sequence[str]], object]], ...] = (
    (OpenAIChat(), _chat),
    (AnthropicMessages(), _anthropic),
    (OpenAIResponses(), _responses),
    (GeminiGenerate(), _gemini),
)
