"""Crossings from one format to another, and answers as each provider words them."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import surfaces
from gateway.translation.base import Answering
from gateway.translation.bridge import Bridge, Crossing
from gateway.translation.conversation import Reply, Request, Text, Thinking, ToolCall
from gateway.translation.formats import PROVIDERS
from gateway.wire.base import Wire
from telemetry.records import Usage

CALL_ID = "01a20024-2b15-73c7-94d1-c470f1de3982"
OWN_ID = "resp_01a200242b1573c794d1c470f1de3982"
CHAT, RESPONSES, MESSAGES, GENERATE, CONVERSE = (
    "openai.chat",
    "openai.responses",
    "anthropic.messages",
    "gemini.generate",
    "bedrock.converse",
)
CLIENTS = (CHAT, RESPONSES, MESSAGES, GENERATE)
MODELS = {
    CHAT: "llama-4",
    RESPONSES: "gpt-5",
    MESSAGES: "claude-sonnet-4-5",
    GENERATE: "gemini-3-flash",
    CONVERSE: "anthropic.claude-sonnet-4-5-v1:0",
}
HELLO: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "hello"}]},
    RESPONSES: {"input": "hello"},
    MESSAGES: {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 9},
    GENERATE: {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
}
SAID = Reply(id="x-1", model="m-1", parts=(Text("Hello!"),), usage=Usage(input_uncached=3, output_text=2))


def wire_of(surface: str, *, stream: bool = False) -> Wire:
    if surface == GENERATE:
        return surfaces.GEMINI["streamGenerateContent?alt=sse" if stream else "generateContent"]
    wires = {**surfaces.OPENAI, **surfaces.ANTHROPIC}
    return next(wire for wire in wires.values() if wire.surface == surface)


def cross(
    client: str,
    provider: str,
    body: dict[str, Any],
    *,
    stream: bool = False,
    lenient: bool = False,
    drop: tuple[str, ...] = (),
) -> Crossing:
    return Bridge(provider, lenient=lenient).cross(
        wire_of(client, stream=stream),
        msgspec.json.encode(body),
        model=MODELS[provider],
        stream=stream,
        wants_usage=True,
        include_usage=True,
        drop=drop,
        call_id=CALL_ID,
        created_s=1_790_000_000,
        previous="resp_before" if client == RESPONSES else "",
    )


def answer_of(provider: str, reply: Reply) -> bytes:
    """The document in which a provider says this."""
    if provider == CONVERSE:
        return _converse(reply)
    answering = Answering(call_id="c", created_s=1, model="m-1", request=Request(messages=()))
    form: Any = PROVIDERS[provider]
    written: bytes = form.write_reply(reply, answering)
    return written


def _converse(reply: Reply) -> bytes:
    content: list[dict[str, Any]] = []
    for part in reply.parts:
        match part:
            case Text():
                content.append({"text": part.text})
            case Thinking():
                said = {"text": part.text, "signature": part.signature}
                content.append({"reasoningContent": {"reasoningText": said}})
            case ToolCall():
                use = {"toolUseId": part.id, "name": part.name, "input": msgspec.Raw(part.arguments.encode())}
                content.append({"toolUse": use})
            case _:
                raise AssertionError(f"nobody says this here: {part}")
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    message = {"role": "assistant", "content": content}
    reason = "tool_use" if reply.stop == "tool_calls" else "end_turn"
    return msgspec.json.encode({"output": {"message": message}, "stopReason": reason, "usage": usage})
