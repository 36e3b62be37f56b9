"""Memories are added in the client's format; asked in whatever other, the model reads them, once, in their places."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.bridge import Bridge
from gateway.translation.formats import PROVIDERS
from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Wire
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_responses import OpenAIResponses
from memory.render import block_of, profile_of

OLD, NEW = block_of(["- [2026-01-02] old"]), block_of(["- [2026-01-02] new"])
PROFILE = profile_of(["- [2026-01-02] Call me Ada"])
TURNS = [("user", "first question"), ("assistant", "an answer"), ("user", "second question")]
MARK = {"type": "ephemeral"}
MESSAGES = [{"role": role, "content": text} for role, text in TURNS]
CONTENTS = [{"role": role.replace("assistant", "model"), "parts": [{"text": text}]} for role, text in TURNS]
CALLS: list[tuple[Wire, dict[str, Any]]] = [
    (OpenAIChat(), {"model": "m", "messages": [{"role": "developer", "content": "be brief"}, *MESSAGES]}),
    (OpenAIResponses(), {"model": "m", "store": False, "instructions": "be brief", "input": MESSAGES}),
    (
        AnthropicMessages(),
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "be brief", "cache_control": MARK}],
            "messages": MESSAGES,
        },
    ),
    (GeminiGenerate(), {"systemInstruction": {"parts": [{"text": "be brief"}]}, "contents": CONTENTS}),
]


@pytest.mark.parametrize("asked_in", sorted(PROVIDERS))
@pytest.mark.parametrize(("wire", "said"), CALLS, ids=lambda value: getattr(value, "surface", ""))
def test_memories_cross_over_with_what_they_stand_behind(
    wire: Wire, said: dict[str, Any], asked_in: str
) -> None:
    conversation = wire.conversation(msgspec.json.encode(said))
    assert conversation is not None
    enriched = conversation.remember([(0, OLD), (1, NEW)], PROFILE)

    crossing = Bridge(asked_in, lenient=True).cross(
        wire,
        enriched,
        model="m",
        stream=False,
        wants_usage=False,
        include_usage=False,
        drop=(),
        call_id="c",
        created_s=1,
    )

    words = [text for text in texts(msgspec.json.decode(crossing.body)) if text not in {"m", "c"}]
    body = "\n".join(words)
    expected = ["be brief", PROFILE, "first question", OLD, "an answer", "second question", NEW]
    assert [body.count(text) for text in expected] == [1] * len(expected)
    told = "".join(text for text in texts(order(msgspec.json.decode(crossing.body))) if text in body)
    places = [told.index(text) for text in expected]
    assert places == sorted(places)


def order(body: dict[str, Any]) -> list[Any]:
    """Return a request's parts as a model reads them."""
    names = ("system", "instructions", "systemInstruction", "messages", "input", "contents")
    return [body[name] for name in names if name in body]


def texts(value: Any) -> list[str]:
    """Return every string in it, in order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in texts(one)]
