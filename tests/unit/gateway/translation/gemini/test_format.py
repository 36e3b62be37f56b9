"""What the format can express comes back from it as it went in, and Google's own client can read it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.translation.base import Answering
from gateway.translation.conversation import (
    Citation,
    Format,
    Media,
    Message,
    Part,
    Reasoning,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.events import Ended
from gateway.translation.gemini import answered
from gateway.translation.gemini import asked as wanted
from gateway.translation.gemini.format import GeminiFormat
from gateway.wire.gemini_array import ArraySplitter
from tests.fakes.conversations import (
    SCHEMAS,
    bare,
    calls,
    dialogues,
    logprobs,
    media,
    name_of,
    replies,
    requests,
    settings,
    texts,
    thoughts,
    tools,
    usages,
    words,
)
from tests.fakes.event_streams import events_of, reply_of, told, ways

GEMINI = GeminiFormat()
ARRAY = GeminiFormat(array=True)
MODEL = "gemini-3.6-flash"
ASKED = Request(messages=(Message("user", (Text("Hi"),)),))
ANSWERING = Answering(call_id="call-1", created_s=1_700_000_000, model=MODEL, request=ASKED)

pictures = (
    media("image", data=True)
    | media("image", url=True, media_type=st.just("image/png"))
    | media("document", text=True)
)
files = media("audio", data=True) | media("document", data=True) | media("video", data=True)
stored = st.builds(
    Media,
    kind=st.just("document"),
    media_type=st.just("application/pdf"),
    file_id=st.just("https://generativelanguage.googleapis.com/v1beta/files/x"),
    origin=st.just("gemini"),
)
returned = media("image", data=True) | media("document", text=True)


def one_text_each(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Results as the format has them: words, of which there is one text, before media."""

    def kept(part: Part) -> Part:
        if not isinstance(part, ToolResult):
            return part
        said = [p for p in part.parts if isinstance(p, Text)][:1]
        shown = [p for p in part.parts if isinstance(p, Media)]
        return msgspec.structs.replace(part, parts=(*said, *shown))

    return tuple(msgspec.structs.replace(m, parts=tuple(map(kept, m.parts))) for m in messages)


asked = requests(
    dialogues(
        said=texts() | pictures | files | stored,
        answered=texts() | media("image", data=True),
        thought=thoughts("gemini", hidden=True),
        calls=calls(family="gemini"),
        returned=texts() | returned,
    ).map(one_text_each),
    system=st.lists(texts(), min_size=1, max_size=2).map(tuple),
    tools=st.lists(tools(), min_size=1, max_size=3, unique_by=name_of).map(tuple),
    format=st.just(Format(kind="json_object"))
    | st.sampled_from(SCHEMAS).map(lambda schema: Format(kind="json_schema", schema=schema)),
    reasoning=st.builds(
        Reasoning,
        effort=st.sampled_from(["minimal", "low", "medium", "high"]),
        show=st.none() | st.booleans(),
    ),
    logprobs=st.just(True),
    **settings(
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "tool_choice",
        "service_tier",
    ),
)


@st.composite
def cited(draw: st.DrawFn) -> Text:
    """Words with citations of places in them."""
    text = draw(words())
    end = draw(st.integers(1, len(text)))
    places = {"start": st.integers(0, end - 1), "end": st.just(end), "title": words() | st.just("")}
    web = st.builds(Citation, url=st.just("https://example.com/a"), **places)
    document = st.builds(
        Citation, url=st.sampled_from(["", "https://example.com/b"]), quote=words(), **places
    )
    return Text(text, citations=tuple(draw(st.lists(web | document, max_size=2))))


answers = replies(
    texts() | cited() | media("image", data=True) | thoughts("gemini", hidden=True) | calls(family="gemini")
    | thoughts("anthropic", hidden=True, unsigned=True) | calls(family="openai"),
    stops=("end", "length", "filter", "other"),
    logprobs=logprobs(),
    usage=usages("input_uncached", "cache_read", "output_text", "output_reasoning", "output_image"),
)  # fmt: skip


def seen(message: bytes) -> types.GenerateContentResponse:
    """What Google's client makes of it; it forbids unknown fields."""
    return types.GenerateContentResponse.model_validate_json(message)


def pieces(stream: bytes) -> list[bytes]:
    return [line[6:] for line in stream.split(b"\r\n\r\n") if line]


def check_words(reply: Reply, responses: Sequence[types.GenerateContentResponse]) -> None:
    said = [p for r in responses for c in r.candidates or () for p in (c.content and c.content.parts) or ()]
    assert "".join(p.text or "" for p in said if not p.thought) == "".join(
        part.text for part in reply.parts if isinstance(part, Text)
    )
    called = [p.function_call for p in said if p.function_call]
    assert [(call.name, call.id, call.args) for call in called] == [
        (part.name, part.id, msgspec.json.decode(part.arguments))
        for part in reply.parts
        if isinstance(part, ToolCall)
    ]


@given(asked)
def test_a_request_comes_back_as_it_went_in(request: Request) -> None:
    if request.logprobs:
        request = msgspec.structs.replace(request, top_logprobs=3)

    written = GEMINI.write_request(request, model=MODEL, usage=True)

    assert written.lost == ()
    assert GEMINI.read_request(written.body) == request
    check_request(written.body)


def check_request(body: bytes) -> None:
    """Read it with the types of Google's client."""
    said = msgspec.json.decode(body)
    for content in said["contents"]:
        types.Content.model_validate(content)
    if "systemInstruction" in said:
        types.Content.model_validate(said["systemInstruction"])
    for tool in said.get("tools", ()):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(said.get("toolConfig", {}))
    types.GenerationConfig.model_validate(said.get("generationConfig", {}))


@given(answers)
def test_an_answer_comes_back_as_it_went_in(reply: Reply) -> None:
    written = GEMINI.write_reply(reply, ANSWERING)

    assert bare(GEMINI.read_reply(written)) == reply
    check_words(reply, [seen(written)])


@given(answers, st.integers(0, 1 << 16), st.booleans())
def test_a_stream_says_the_same_as_the_answer_in_whatever_pieces_it_arrives(
    reply: Reply,
    seed: int,
    interleaved: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    writer = GEMINI.stream_writer(ANSWERING)
    stream = b"".join(writer.write([event]) for event in events_of(reply, interleaved=interleaved))

    for chunks in ways(stream, seed):
        assert bare(reply_of(told(GEMINI.stream_reader(), chunks))) == reply
    check_words(reply, [seen(piece) for piece in pieces(stream)])


@given(answers)
def test_an_array_holds_what_events_would(reply: Reply) -> None:
    events = events_of(reply)

    array = ARRAY.stream_writer(ANSWERING).write(events)

    stream = GEMINI.stream_writer(ANSWERING).write(events)
    assert array.endswith(b"]")
    assert ArraySplitter().push(array) == pieces(stream)
    assert len(msgspec.json.decode(array)) == len(pieces(stream))


@given(answers, st.integers(0, 1 << 16))
def test_a_stream_that_is_cut_before_its_last_event_never_ends_well(reply: Reply, at: int) -> None:
    stream = GEMINI.stream_writer(ANSWERING).write(events_of(reply))
    last = stream.rindex(b"data: ")

    events = told(GEMINI.stream_reader(), [stream[: at % (last + 1)]])

    assert not any(isinstance(event, Ended) for event in events)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted(
    {
        field.encode_name
        for module in (answered, wanted)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        for field in msgspec.structs.fields(kind)
    }
    | {"function_call", "thought_signature", "generation_config", "type", "nullable", "items", "output"}
)
nonsense = st.recursive(
    json | st.sampled_from(["user", "model", "AUTO", "OBJECT", "application/json", "dGc6", "gs://x", "STOP"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


def with_contents(value: Any) -> Any:
    return {"contents": [{"parts": value if isinstance(value, list) else [value]}]}


@given(nonsense | nonsense.map(with_contents))
def test_nonsense_is_a_bad_request_and_nothing_else(value: Any) -> None:
    with suppress(BadRequest):
        GEMINI.read_request(msgspec.json.encode(value))


@given(st.binary(max_size=40) | nonsense.map(msgspec.json.encode))
def test_an_answer_that_is_none_is_a_value_error(body: bytes) -> None:
    with suppress(ValueError):
        GEMINI.read_reply(body)


@given(st.lists(nonsense, max_size=4))
def test_nonsense_in_a_stream_is_passed_over(values: list[Any]) -> None:
    stream = b"".join(b"data: %b\n\n" % msgspec.json.encode(value) for value in values)

    told(GEMINI.stream_reader(), [stream, b"data: \xff{\n\n"])


@pytest.mark.parametrize("family", ["anthropic", "openai", "bedrock"])
def test_a_foreign_signature_is_base64_to_the_client_and_comes_back(family: Any) -> None:
    thought = Thinking(text="Hm.", signature="ä/+==", origin=family)

    written = GEMINI.write_reply(Reply(parts=(thought,)), ANSWERING)

    content = msgspec.json.decode(written)["candidates"][0]["content"]
    kept = types.Content.model_validate(content).model_dump_json(by_alias=True, exclude_none=True)
    body = b'{"contents":[%b,{"parts":[{"text":"And?"}]}]}' % kept.encode()
    assert GEMINI.read_request(body).messages[0].parts == (thought,)
