"""Reads a provider's answer that is one JSON document: OpenAI's own, and what others make of it.

Thoughts are `reasoning_content` (DeepSeek, vLLM, LiteLLM), `reasoning` (Groq, OpenRouter) or parts of the content
(Mistral); pictures are `images` (OpenRouter); a stop sequence that was met is `stop_reason` (vLLM).
Sources, read 2026-11: https://docs.litellm.ai/docs/reasoning_content, https://github.com/groq/groq-python/pull/185,
https://openrouter.ai/docs/use-cases/reasoning-tokens, https://github.com/spring-projects/spring-ai/issues/5019 (Mistral),
https://openrouter.ai/docs/features/multimodal/image-generation, https://github.com/vllm-project/vllm/pull/2976.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translation.conversation import Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.translation.openai_chat.answer import read_annotations, read_logprobs, stop_of
from gateway.translation.openai_chat.content_in import split_data_url
from gateway.translation.openai_chat.messages_in import arguments_of
from gateway.translation.openai_chat.thoughts import read_blocks, signature_of
from gateway.wire.openai_answer import error_message, object_bytes, text
from gateway.wire.openai_usage import parse_usage

ABSENT = msgspec.Raw(b"")


class Function(msgspec.Struct):
    """What a call calls."""

    name: Any = None
    arguments: Any = None


class Call(msgspec.Struct):
    """A call, or a piece of one."""

    index: Any = None
    id: Any = None
    function: Function | None = None
    extra_content: Any = None


class Said(msgspec.Struct):
    """A whole message, or a piece of one."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    annotations: Any = None
    images: Any = None
    audio: Any = None

    def thought(self) -> str:
        """Return what is shown of a thought."""
        return text(self.reasoning_content) or text(self.reasoning)


class Choice(msgspec.Struct):
    """One answer, or a piece of it."""

    index: Any = 0
    message: Said | None = None
    delta: Said | None = None
    finish_reason: Any = None
    stop_reason: Any = None
    logprobs: Any = None


class Groq(msgspec.Struct):
    """Where Groq puts usage that nobody asked for (recorded 2025-02)."""

    usage: msgspec.Raw = ABSENT


class Document(msgspec.Struct):
    """A whole answer, or a chunk of a stream."""

    id: Any = ""
    model: Any = ""
    choices: list[Choice] | None = None
    usage: msgspec.Raw = ABSENT
    service_tier: Any = None
    error: msgspec.Raw = ABSENT
    x_groq: Groq | None = None

    def raw_usage(self) -> bytes:
        """Return the usage object; empty if there is none."""
        if self.usage is not ABSENT and (said := object_bytes(self.usage)):
            return said
        return object_bytes(self.x_groq.usage) if self.x_groq is not None else b""


_decode = msgspec.json.Decoder(Document).decode


def read_reply(body: bytes) -> Reply:
    """Read the first choice; raise ValueError if this is no answer."""
    said = _decode(body)
    if message := error_message(said.error):
        raise ValueError(message)
    choice = said.choices[0] if said.choices else None
    if choice is None or not (choice.message or choice.finish_reason):
        raise ValueError("it has no choices")
    parts = tuple(_parts(choice.message or Said()))  # Azure leaves a filtered one out (recorded 2024-04)
    raw_usage = said.raw_usage()
    sequence = text(choice.stop_reason)
    stop = stop_of(
        text(choice.finish_reason) or "stop",
        sequence=sequence,
        called=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refusal) for part in parts),
    )
    return Reply(
        id=text(said.id),
        model=text(said.model),
        parts=parts,
        stop=stop,
        stop_sequence=sequence if stop == "stop_sequence" else "",
        logprobs=read_logprobs(choice.logprobs),
        usage=parse_usage(raw_usage) if raw_usage else None,
        raw_usage=raw_usage,
        service_tier=text(said.service_tier),
    )


def _parts(said: Said) -> Iterator[Text | Media | Thinking | ToolCall | Refusal]:
    blocks = list(read_blocks(said.thinking_blocks))
    yield from blocks
    if not blocks and (thought := said.thought()):
        yield Thinking(text=thought)
    citations = tuple(read_annotations(said.annotations))
    for part in read_content(said.content):
        if isinstance(part, Text) and citations:
            yield Text(part.text, citations=citations)
            citations = ()
        else:
            yield part
    if refusal := text(said.refusal):
        yield Refusal(refusal)
    yield from read_images(said.images)
    yield from read_audio(said.audio)
    for call in said.tool_calls or ():
        if call.function is not None:
            yield _call(call, call.function)
    if said.function_call is not None and not said.tool_calls:
        yield _call(Call(), said.function_call)


def _call(call: Call, function: Function) -> ToolCall:
    signature, origin = signature_of(call.extra_content)
    return ToolCall(
        id=text(call.id),
        name=text(function.name),
        arguments=arguments_of(function.arguments),
        signature=signature,
        origin=origin,
    )


def read_content(content: object) -> Iterator[Text | Thinking]:
    """Read `content`: words, or a list of parts."""
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str) and part:
            yield Text(part)
        if not isinstance(part, dict):
            continue
        if said := text(part.get("text")):
            yield Text(said)
        elif thought := words_of(part.get("thinking")):
            yield Thinking(text=thought)


def words_of(said: object) -> str:
    """Return words that are a string, or a list of parts with text."""
    if isinstance(said, list):
        return "".join(text(part.get("text")) for part in said if isinstance(part, dict))
    return text(said)


def read_images(images: object) -> Iterator[Media]:
    """Read the pictures of an answer."""
    for image in images if isinstance(images, list) else ():
        place = image.get("image_url") if isinstance(image, dict) else None
        url = text(place.get("url")) if isinstance(place, dict) else ""
        if not url.startswith("data:"):
            if url:
                yield Media(kind="image", url=url)
            continue
        try:
            media_type, data = split_data_url(url, "images")
        except BadRequest:
            continue
        yield Media(kind="image", media_type=media_type, data=data)


def read_audio(said: object) -> Iterator[Text | Media]:
    """Read spoken words; nobody says in which format they are, so it is the one of OpenAI's examples."""
    if not isinstance(said, dict):
        return
    if transcript := text(said.get("transcript")):
        yield Text(transcript)
    if data := text(said.get("data")):
        yield Media(kind="audio", media_type="audio/wav", data=data)
