"""Conversations and answers as OpenAI's chat format can express them, and what was recorded of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gateway.translation.base import Answering
from gateway.translation.conversation import (
    Citation,
    Format,
    Media,
    Refusal,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from tests.fakes.conversations import (
    calls,
    dialogues,
    logprobs,
    maybe,
    media,
    name_of,
    names,
    replies,
    requests,
    settings,
    texts,
    thoughts,
    tools,
    usages,
    words,
)

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
ANSWERING = Answering(
    call_id="0199f8a0-5cf1-7c43-9d5e-0a1b2c3d4e5f",
    created_s=1_763_000_000,
    model="m",
    request=Request(messages=()),
)


def asked(family: str = "") -> SearchStrategy[Request]:
    """Requests without cache points, which are read and never written; `gemini` signs calls."""
    signed = "gemini" if family == "gemini" else ""
    said = (
        texts()
        | media("image", data=True, url=True, detail=st.sampled_from(["", "low", "high"]))
        | media("audio", data=True)
        | media("document", data=True, name=names())
        | media("document", family="openai")
    )
    return requests(
        dialogues(said=said, calls=calls(family=signed), fails=False, inside=texts()),  # type: ignore[arg-type]
        system=st.lists(texts(), max_size=2).map(tuple),
        tools=st.lists(tools(strict=st.sampled_from([None, True, False])), unique_by=name_of).map(tuple),
        **settings(
            "max_tokens", "temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty",
            "top_logprobs", "verbosity", "parallel_tool_calls", "stream", "user", "service_tier", "tool_choice",
            "reasoning",
        ),
        logprobs=st.just(True),  # false says nothing
        format=settings("format")["format"] | st.just(Format(kind="json_object")),
    )  # fmt: skip


def answered() -> SearchStrategy[Reply]:
    """Answers in the one order in which a message can hold them, with no more than one text and one refusal."""
    cited = st.builds(
        Citation, url=names().map("https://tide.example/{}".format), title=words(), start=st.integers(0, 9), end=st.just(9)
    )  # fmt: skip
    part = (
        texts(citations=st.lists(cited, max_size=2).map(tuple))
        | thoughts("anthropic", unsigned=True, hidden=True)
        | thoughts("bedrock", hidden=True)
        | calls(family="gemini")
        | words().map(Refusal)
        | media("image", data=True)
    )
    return replies(
        part,
        stops=("end", "length", "filter"),
        most=6,
        logprobs=logprobs(),
        usage=maybe(
            usages(
                "input_uncached", "cache_read", "cache_write_5m", "input_audio", "input_image", "output_text",
                "output_reasoning", "output_audio",
            )
        ),
        service_tier=st.sampled_from(["", "default", "flex"]),
    ).map(_ordered)  # fmt: skip


_ORDER = (Thinking, Text, Refusal, Media, ToolCall)


def _ordered(reply: Reply) -> Reply:
    parts = sorted(reply.parts, key=lambda part: _ORDER.index(type(part)))
    kept = [
        part
        for at, part in enumerate(parts)
        if not (at and isinstance(part, Text | Refusal) and type(parts[at - 1]) is type(part))
        and not (isinstance(part, Thinking) and not part.signature and _thinks_on(parts[at + 1 :]))
    ]
    refuses = any(isinstance(part, Refusal) for part in kept)
    stop = "refusal" if refuses and reply.stop == "end" else reply.stop
    tier = reply.service_tier if reply.usage else ""
    return msgspec.structs.replace(reply, parts=tuple(kept), stop=stop, service_tier=tier)


def _thinks_on(parts: list[Any]) -> bool:
    return bool(parts) and isinstance(parts[0], Thinking)


# --- recordings ------------------------------------------------------------------------------------


def recordings() -> Iterator[tuple[str, bytes, int, bytes]]:
    """Name, request, status and answer of every recorded chat completion."""
    for path in sorted(CASSETTES.rglob("*.yaml")):
        said = path.read_text("utf-8")
        if "/chat/completions" not in said:
            continue
        for number, entry in enumerate(yaml.load(said, Loader=yaml.CSafeLoader)["interactions"]):
            if "/chat/completions" in entry["request"]["uri"]:
                status = entry["response"]["status"]["code"]
                answer = _bytes(entry["response"]["body"]["string"])
                yield (
                    f"{path.parent.name}/{path.stem}-{number}",
                    _bytes(entry["request"]["body"]),
                    status,
                    answer,
                )


def _bytes(said: str | bytes) -> bytes:
    data = said if isinstance(said, bytes) else said.encode()
    return zlib.decompress(data, wbits=47) if data.startswith(b"\x1f\x8b") else data


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """Every chunk of a stream, the slow way."""
    lines = [line[5:].strip() for line in stream.splitlines() if line.startswith(b"data:")]
    return [msgspec.json.decode(line) for line in lines if line != b"[DONE]"]
