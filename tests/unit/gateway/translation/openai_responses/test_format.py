from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.translation.base import Answering, Format
from gateway.translation.conversation import (
    Citation,
    Family,
    Logprob,
    Reasoning,
    Refusal,
    Reply,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from gateway.translation.events import Ended
from gateway.translation.openai_responses.format import OpenAIResponsesFormat
from gateway.translation.openai_responses.tools import _FREEFORM
from tests.fakes import conversations as made
from tests.fakes import official_responses as official
from tests.fakes.event_streams import cut_off, events_of, reply_of, told, ways

FORMAT: Format = OpenAIResponsesFormat()
MODEL = "gpt-5.6"
CALL_ID = "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"


def answering(request: Request | None = None) -> Answering:
    asked = request or Request(messages=())
    return Answering(call_id=CALL_ID, created_s=1_760_000_000, model="asked-for", request=asked)


def identified(thought: Thinking) -> Thinking:
    return msgspec.structs.replace(thought, id="rs_1") if thought.origin == "openai" else thought


def nameless(reply: Reply) -> Reply:
    """Without the ids of its items, which are new in every answer."""
    parts = tuple(
        msgspec.structs.replace(part, id="") if isinstance(part, Thinking) else part for part in reply.parts
    )
    return msgspec.structs.replace(reply, parts=parts, raw_usage=b"")


# --- requests --------------------------------------------------------------------------------------

MARKS = made.caches("")
SAID = (
    made.texts(cache=MARKS)
    | made.media(
        "image",
        data=True,
        url=True,
        family="openai",
        cache=MARKS,
        detail=st.sampled_from(["", "low", "high"]),
    )
    | made.media("document", data=True, url=True, family="openai", text=True, cache=MARKS, name=made.names())
)
FROM_URLS = st.builds(
    Citation,
    url=made.names(),
    title=made.words(),
    start=st.integers(0, 9),
    end=st.integers(9, 99),
)
FROM_FILES = st.just(
    Citation(
        title="a.pdf",
        raw='{"type":"file_citation","file_id":"file-1","filename":"a.pdf","index":3}',
        origin="openai",
    )
)
CITING = made.texts(citations=st.lists(FROM_URLS | FROM_FILES, max_size=2).map(tuple))
SPECIAL = [
    Tool(name="patch", description="Free", schema=_FREEFORM, freeform=True),
    Tool(name="crew__hire", schema="{}", strict=False, namespace="crew"),
    Tool(name="crew__shout", schema=_FREEFORM, freeform=True, namespace="crew"),
]
SPECIAL_CALLS = st.builds(
    ToolCall,
    id=made.names(),
    name=st.sampled_from(["patch", "crew__shout"]),
    arguments=made.words().map(lambda text: msgspec.json.encode({"input": text}).decode()),
)
OWN = made.settings(
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "tool_choice",
    "stream",
    "user",
    "service_tier",
    "format",
)
REQUESTS = made.requests(
    made.dialogues(
        said=SAID,
        answered=CITING | st.builds(Refusal, made.words()),
        thought=made.thoughts("openai", hidden=True).map(identified),
        calls=made.calls() | SPECIAL_CALLS,
        returned=made.texts() | made.media("image", data=True, url=True),
        fails=False,
        inside=made.texts(cache=MARKS),
    ),
    system=st.lists(made.texts(cache=MARKS), max_size=3).map(tuple),
    tools=st.lists(made.tools(strict=st.booleans()), max_size=3, unique_by=made.name_of).map(
        lambda tools: (*tools, *SPECIAL)
    ),
    max_tokens=st.integers(16, 1 << 20),
    verbosity=st.sampled_from(["low", "high"]),
    reasoning=st.sampled_from(
        [
            Reasoning(effort="low"),
            Reasoning(effort="high", summary="auto", show=True),
            Reasoning(effort="none"),
        ]
    ),
    **OWN,
)


def with_logprobs(request: Request) -> Request:
    return msgspec.structs.replace(request, logprobs=True, top_logprobs=3)


@given(REQUESTS | REQUESTS.map(with_logprobs))
@settings(max_examples=100, deadline=None)
def test_a_request_is_read_as_it_was_written(request_: Request) -> None:
    if not request_.tools:  # then nobody knows how free-form calls are worded
        request_ = msgspec.structs.replace(request_, tools=tuple(SPECIAL))
    written = FORMAT.write_request(request_, model=MODEL, usage=True)
    read = FORMAT.read_request(written.body)
    assert msgspec.structs.replace(read, hints=()) == request_
    assert written.lost == ()
    assert read.hints == ("store",)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        _nested := lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "role", "content", "input", "text", "name", "tools", "output"]),
                inner,
            )
        ),
    )
)
@settings(max_examples=100, deadline=None)
def test_nonsense_is_read_or_refused(said: object) -> None:
    for name in ("input", "tools", "tool_choice", "text", "reasoning", "include"):
        body = msgspec.json.encode({"model": "m", "input": "Hi", name: said})
        with suppress(BadRequest):
            FORMAT.read_request(body)


@given(st.binary(max_size=60))
def test_bytes_are_read_or_refused(body: bytes) -> None:
    for whole in (
        body,
        b'{"input":"' + body + b'","tools":[{"type":"function","name":"f","parameters":{"' + body,
    ):
        with pytest.raises(BadRequest):
            FORMAT.read_request(whole)


def test_text_that_is_not_utf8_is_refused_wherever_it_stands() -> None:
    tool = b'{"type":"function","name":"f","parameters":{"a":"\xff"}}'
    with pytest.raises(BadRequest, match="UTF-8"):
        FORMAT.read_request(b'{"model":"m","input":"Hi","tools":[' + tool + b"]}")


# --- answers ---------------------------------------------------------------------------------------

FAMILIES: tuple[Family, ...] = ("openai", "anthropic", "gemini", "bedrock")
THOUGHTS = st.sampled_from(FAMILIES).flatmap(lambda family: made.thoughts(family, hidden=True, unsigned=True))
OF_DOCUMENTS = st.builds(Citation, title=made.words(), document=st.integers(0, 5))
PARTS = (
    made.texts(citations=st.lists(FROM_URLS | FROM_FILES | OF_DOCUMENTS, max_size=2).map(tuple))
    | THOUGHTS
    | made.calls(family="gemini")
    | SPECIAL_CALLS
    | st.builds(Refusal, made.words())
    | made.media("image", data=True)
)
USAGES = made.usages("input_uncached", "cache_read", "cache_write_5m", "output_text", "output_reasoning")


def ended(reply: Reply) -> Reply:
    """A refusal in words is one."""
    refused = any(isinstance(part, Refusal) for part in reply.parts)
    return msgspec.structs.replace(reply, stop="refusal") if refused and reply.stop == "end" else reply


REPLIES = made.replies(
    PARTS,
    stops=("end", "length", "filter"),
    service_tier=st.sampled_from(["default", "flex"]),
).map(ended)
ASKED = Request(messages=(), tools=tuple(SPECIAL))


def whole(reply: Reply, usage: Any) -> Reply:
    tier = reply.service_tier or "default"
    return msgspec.structs.replace(reply, id=f"resp_{reply.id}", usage=usage, service_tier=tier)


@given(REPLIES, USAGES)
@settings(max_examples=60, deadline=None)
def test_an_answer_is_read_as_it_was_written_and_official(reply: Reply, usage: Any) -> None:
    reply = whole(reply, usage)
    body = FORMAT.write_reply(reply, answering(ASKED))
    official.document(body)
    assert nameless(FORMAT.read_reply(body)) == reply


@given(REPLIES, USAGES, st.booleans(), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_stream_is_read_as_it_was_written_and_official(
    reply: Reply,
    usage: Any,
    interleaved: bool,  # noqa: FBT001 - hypothesis gives it
    seed: int,
) -> None:
    reply = whole(reply, usage)
    writer = FORMAT.stream_writer(answering(ASKED))
    stream = b"".join(writer.write([event]) for event in events_of(reply, interleaved=interleaved))
    official.streamed(stream)
    last = msgspec.json.encode(official.split(stream)[-1]["response"])
    assert nameless(FORMAT.read_reply(last)) == reply
    for chunks in ways(stream, seed):
        assert nameless(reply_of(told(FORMAT.stream_reader(), chunks))) == reply
    for part in cut_off(stream.rstrip(), seed, tries=5):
        assert not any(isinstance(event, Ended) for event in told(FORMAT.stream_reader(), [part]))


@given(made.logprobs())
@settings(max_examples=30, deadline=None)
def test_logprobs_survive_in_both_kinds_of_answer(logprobs: tuple[Logprob, ...]) -> None:
    reply = Reply(id="resp_1", model="m", parts=(Text("Hi"),), logprobs=logprobs, service_tier="default")
    body = FORMAT.write_reply(reply, answering())
    official.document(body)
    assert FORMAT.read_reply(body) == reply
    stream = FORMAT.stream_writer(answering()).write(events_of(reply))
    official.streamed(stream)
    read = reply_of(told(FORMAT.stream_reader(), [stream]))
    assert read.logprobs == logprobs


@pytest.mark.parametrize("family", ["anthropic", "gemini", "bedrock"])
def test_a_foreign_thought_comes_back_through_a_client(family: Family) -> None:
    parts = (
        Thinking(text="Hm", signature="c2ln", origin=family),
        Thinking(text="", signature="c2ln", origin=family),
        Thinking(signature="aGlkZGVu", hidden=True, origin=family),
        ToolCall(id="c", name="f", signature="Y2FsbA==", origin=family),
    )
    body = FORMAT.write_reply(Reply(parts=parts, stop="tool_calls"), answering())
    output = msgspec.json.decode(body)["output"]
    again = FORMAT.read_request(msgspec.json.encode({"model": "m", "input": output}))
    assert [part for message in again.messages for part in message.parts] == list(parts)


# --- what OpenAI said ------------------------------------------------------------------------------

CASSETTES = Path(__file__).parents[6] / "shared" / "conformance" / "cassettes"


def recorded() -> list[Any]:
    if not CASSETTES.is_dir():
        return []
    found = [path for path in sorted(CASSETTES.rglob("*.yaml")) if b"/v1/responses\n" in path.read_bytes()]
    return [
        pytest.param(interaction, id=path.stem)
        for path in found
        for interaction in yaml.safe_load(path.read_text())["interactions"]
        if interaction["request"]["uri"].endswith("/v1/responses")
    ]


RECORDED = recorded() or [pytest.param(None, marks=pytest.mark.skip(reason="no ../shared"), id="none")]


@pytest.mark.parametrize("interaction", RECORDED)
def test_what_was_recorded_says_the_same_afterwards(interaction: dict[str, Any]) -> None:
    sent, answer = interaction["request"]["body"], interaction["response"]["body"]["string"]
    asked = FORMAT.read_request(sent.encode())
    said = msgspec.json.decode(sent)
    assert asked.messages[-1].parts == (Text(said["input"]),)
    assert [text.text for text in asked.system] == ([said["instructions"]] if "instructions" in said else [])
    written = FORMAT.write_request(asked, model=said["model"], usage=True)
    assert msgspec.structs.replace(FORMAT.read_request(written.body), hints=asked.hints) == asked
    if interaction["response"]["status"]["code"] != 200:
        with pytest.raises(ValueError, match=r"."):
            FORMAT.read_reply(answer.encode())
        return
    reader = FORMAT.stream_reader()
    reply = reply_of(told(reader, [answer.encode()])) if asked.stream else FORMAT.read_reply(answer.encode())
    last = [line[6:] for line in answer.splitlines() if line.startswith("data: ")][-1:] or [answer]
    slow = msgspec.json.decode(last[0])
    slow = slow.get("response", slow)
    assert reply.parts == (Text(slow["output"][-1]["content"][0]["text"]),)
    assert (reply.id, reply.model, reply.stop) == (slow["id"], slow["model"], "end")
    assert reply.usage is not None
    assert reply.usage.input_total == slow["usage"]["input_tokens"]
    assert reply.usage.output_total == slow["usage"]["output_tokens"]
    body = FORMAT.write_reply(reply, answering(asked))
    official.document(body)
    assert made.bare(FORMAT.read_reply(body)) == made.bare(reply)
    if asked.stream:
        for part in cut_off(answer.strip().encode(), tries=200):
            events = told(FORMAT.stream_reader(), [part])
            assert not any(isinstance(event, Ended) for event in events)
