"""Recorded answers of every provider, translated for every client, read by that client's official SDK.

The recordings lie beside the repository and are not part of it; without them these tests are skipped.
"""

from __future__ import annotations

import functools
import gzip
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import httpx
import httpx2
import msgspec
import openai
import pytest
import yaml
from google import genai

from gateway import surfaces
from gateway.translation.bridge import Bridge, Crossing
from gateway.translation.conversation import Refusal, Reply, Text, ToolCall
from gateway.translation.formats import PROVIDERS
from gateway.wire.base import Wire
from tests.fakes.event_streams import reply_of

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
PATHS = {
    "openai.chat": re.compile(r"/chat/completions\Z"),
    "openai.responses": re.compile(r"/responses\Z"),
    "anthropic.messages": re.compile(r"/v1/messages\Z"),
    "gemini.generate": re.compile(r":generateContent\Z|:streamGenerateContent\Z"),
    "bedrock.converse": re.compile(r"/converse(?:-stream)?\Z"),
}


class Recorded(NamedTuple):
    name: str
    surface: str
    body: bytes
    stream: bool


class Seen(NamedTuple):
    """What a client's own code makes of an answer."""

    text: str
    calls: list[tuple[str, Any]]
    input_tokens: int
    output_tokens: int


def recordings() -> Iterator[Recorded]:
    for path in sorted(CASSETTES.rglob("*.yaml*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for i, (asked, answer) in enumerate(_pairs(yaml.load(data, Loader=yaml.CSafeLoader))):
            place = asked["uri"].partition("?")[0]
            surface = next((name for name, path_of in PATHS.items() if path_of.search(place)), "")
            if not surface or answer["status"]["code"] != 200:
                continue
            said = answer["body"].get("string") or b""
            body: bytes = said if isinstance(said, bytes) else said.encode()
            if body.startswith(b"\x1f\x8b"):
                body = zlib.decompress(body, wbits=47)
            if not body or body.lstrip().startswith(b"["):  # Gemini's array: no provider is asked for it
                continue
            if re.match(rb'\s*\{\s*"error"', body):
                continue
            stream = not body.lstrip().startswith(b"{")
            yield Recorded(f"{path.parent.name}/{path.name.partition('.')[0]}-{i}", surface, body, stream)


def _pairs(tape: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Requests and answers, in either way in which recorders write them down."""
    if "interactions" in tape:
        return [(entry["request"], entry["response"]) for entry in tape["interactions"]]
    return list(zip(tape["requests"], tape["responses"], strict=True))


CALLS = list(recordings())
pytestmark = pytest.mark.skipif(not CALLS, reason="no recordings beside the repository")


def truth(call: Recorded) -> Reply:
    form = PROVIDERS[call.surface]
    if not call.stream:
        return form.read_reply(call.body)
    reader = form.stream_reader()
    return reply_of([*reader.feed(call.body), *reader.end()])


def expected(reply: Reply) -> Seen:
    usage = reply.usage
    return Seen(
        "".join(part.text for part in reply.parts if isinstance(part, Text | Refusal)),
        [(part.name, _json(part.arguments)) for part in reply.parts if isinstance(part, ToolCall)],
        usage.input_total if usage else 0,
        usage.output_total if usage else 0,
    )


def _json(text: str) -> Any:
    return msgspec.json.decode(text or "{}")


CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": CHAT,
    "openai.responses": {"model": "m", "input": "hi", "store": False},
    "anthropic.messages": {**CHAT, "max_tokens": 9},
    "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def crossing(call: Recorded, client: str) -> Crossing:
    stream = (
        {"stream": True, "stream_options": {"include_usage": True}}
        if client == "openai.chat"
        else {"stream": True}
    )
    body = {**BODIES[client], **(stream if call.stream and client != "gemini.generate" else {})}
    return Bridge(call.surface, lenient=False).cross(
        wire_of(client, stream=call.stream),
        msgspec.json.encode(body),
        model="m",
        stream=call.stream,
        wants_usage=True,
        include_usage=True,
        drop=(),
        call_id="01a20024-2b15-73c7-94d1-c470f1de3982",
        created_s=1_790_000_000,
    )


def wire_of(client: str, *, stream: bool) -> Wire:
    if client == "gemini.generate":
        return surfaces.GEMINI["streamGenerateContent?alt=sse" if stream else "generateContent"]
    wires = {**surfaces.OPENAI, **surfaces.ANTHROPIC}
    return next(wire for wire in wires.values() if wire.surface == client)


def translated(call: Recorded, client: str, *, size: int) -> tuple[bytes, str]:
    """Return the client's bytes and their type, the provider's arriving in pieces of `size`."""
    across = crossing(call, client)
    reading = across.reading(stream=call.stream)
    pieces = [call.body[i : i + size] for i in range(0, len(call.body), size)]
    out = b"".join([*map(reading.feed, pieces), reading.end()])
    finding = reading.finding()
    assert finding.complete
    assert not finding.error
    return out, across.answered([], stream=call.stream)[1]


class Answer:
    """What the clients are told, whatever they ask: making a client takes longer than all the rest."""

    body = b""
    kind = ""

    @classmethod
    def transport(cls, http: Any) -> Any:
        return http.MockTransport(
            lambda _: http.Response(200, headers={"content-type": cls.kind}, content=cls.body)
        )


@functools.cache
def openai_client() -> openai.OpenAI:
    http = httpx.Client(transport=Answer.transport(httpx))
    return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http)


@functools.cache
def anthropic_client() -> anthropic.Anthropic:
    http = httpx2.Client(transport=Answer.transport(httpx2))
    return anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http)


@functools.cache
def gemini_client() -> genai.Client:
    options: Any = {"base_url": "http://x", "client_args": {"transport": Answer.transport(httpx)}}
    return genai.Client(api_key="k", http_options=options)


def ask_openai_chat(*, stream: bool) -> Seen:
    client = openai_client()
    if stream:
        return _gathered(client.chat.completions.create(**CHAT, stream=True))
    answer: Any = client.chat.completions.create(**CHAT)
    type(answer).model_validate_json(Answer.body)
    message = answer.choices[0].message
    calls = [(call.function.name, _json(call.function.arguments)) for call in message.tool_calls or ()]
    usage = answer.usage
    text = (message.content or "") + (message.refusal or "")
    return Seen(text, calls, usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0)


def _gathered(chunks: Any) -> Seen:
    text, calls, usage = "", dict[int, list[str]](), None
    for chunk in chunks:
        type(chunk).model_validate_json(chunk.model_dump_json())
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += (choice.delta.content or "") + (choice.delta.refusal or "")
            for call in choice.delta.tool_calls or ():
                known = calls.setdefault(call.index, ["", ""])
                known[0] += call.function.name or ""
                known[1] += call.function.arguments or ""
    told = [(name, _json(arguments)) for name, arguments in calls.values()]
    return Seen(text, told, usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0)


def ask_openai_responses(*, stream: bool) -> Seen:
    client = openai_client()
    if stream:
        *_, last = client.responses.create(model="m", input="hi", stream=True)
        assert last.type in {"response.completed", "response.incomplete"}
        answer: Any = last.response
    else:
        answer = client.responses.create(model="m", input="hi")
        type(answer).model_validate_json(Answer.body)
    text, calls = "", []
    for item in answer.output:
        if item.type == "message":
            text += "".join(
                getattr(part, "text", "") or getattr(part, "refusal", "") for part in item.content
            )
        elif item.type == "function_call":
            calls.append((item.name, _json(item.arguments)))
    usage = answer.usage
    return Seen(text, calls, usage.input_tokens if usage else 0, usage.output_tokens if usage else 0)


def ask_anthropic(*, stream: bool) -> Seen:
    client = anthropic_client()
    if stream:
        with client.messages.stream(**CHAT, max_tokens=9) as events:
            answer: Any = events.get_final_message()
    else:
        answer = client.messages.create(**CHAT, max_tokens=9)
        type(answer).model_validate_json(Answer.body)
    usage = answer.usage
    read = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Seen(
        "".join(block.text for block in answer.content if block.type == "text"),
        [(block.name, block.input) for block in answer.content if block.type == "tool_use"],
        usage.input_tokens + read,
        usage.output_tokens,
    )


def ask_gemini(*, stream: bool) -> Seen:
    models = gemini_client().models
    answers: list[Any] = (
        list(models.generate_content_stream(model="m", contents="hi"))
        if stream
        else [models.generate_content(model="m", contents="hi")]
    )
    text, calls, usage = "", [], None
    for answer in answers:
        usage = answer.usage_metadata or usage
        for candidate in answer.candidates or ():
            for part in (candidate.content.parts or ()) if candidate.content else ():
                if part.function_call:
                    calls.append((part.function_call.name, part.function_call.args or {}))
                elif part.text and not part.thought:
                    text += part.text
    told = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) if usage else 0
    asked = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0) if usage else 0
    return Seen(text, calls, asked, told)


ASK: dict[str, Callable[..., Seen]] = {
    "openai.chat": ask_openai_chat,
    "openai.responses": ask_openai_responses,
    "anthropic.messages": ask_anthropic,
    "gemini.generate": ask_gemini,
}


@pytest.mark.parametrize("client", ASK)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_recorded_answer_reaches_every_client(call: Recorded, client: str) -> None:
    reply = truth(call)
    Answer.body, Answer.kind = translated(call, client, size=97 if call.stream else len(call.body))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's and the SDKs' own
        seen = ASK[client](stream=call.stream)

    assert seen == expected(reply)


@pytest.mark.parametrize("client", ASK)
@pytest.mark.parametrize("call", [call for call in CALLS if call.stream], ids=lambda call: call.name)
def test_a_recorded_stream_that_was_cut_ends_for_no_client(call: Recorded, client: str) -> None:
    reading = crossing(call, client).reading(stream=True)
    reading.feed(call.body[: len(call.body) // 2])
    reading.end()

    assert not reading.finding().complete
