"""Back and forth: what can be said in this format comes back as it was; and real traffic."""

import gzip
from typing import Any

import anthropic.types
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.translation.anthropic.format import AnthropicFormat
from gateway.translation.base import Format
from gateway.translation.conversation import Refusal, Reply, Text, Thinking, ToolCall
from tests.fakes.anthropic_conversations import (
    CASSETTES,
    LATER,
    LIVELY,
    answering,
    answers,
    expressible,
    sdk_message,
)
from tests.fakes.conversations import bare
from tests.fakes.event_streams import Gathering, cut_off, events_of, reply_of, told, ways

FORMAT: Format = AnthropicFormat()


@given(expressible())
def test_a_request_comes_back_as_it_was(request_):
    written = FORMAT.write_request(request_, model=LIVELY, usage=True)

    assert written.lost == ()
    assert FORMAT.read_request(written.body) == request_


@given(expressible(inside=True))
@settings(max_examples=50)
def test_so_does_one_with_system_messages_inside(request_):
    written = FORMAT.write_request(request_, model=LATER, usage=True)

    assert written.lost == ()
    assert FORMAT.read_request(written.body) == request_


@given(answers())
def test_an_answer_comes_back_as_it_was(reply):
    assert bare(FORMAT.read_reply(FORMAT.write_reply(reply, answering()))) == reply


@given(answers(), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_a_stream_tells_the_same_however_it_is_cut(reply, size, interleaved, seed):
    stream = _streamed(reply, size=size, interleaved=interleaved)

    for chunks in ways(stream, seed):
        assert bare(reply_of(told(FORMAT.stream_reader(), chunks))) == reply


@given(answers(), st.integers(1, 9), st.booleans())
@settings(max_examples=25)
def test_the_official_client_reads_document_and_stream_alike(reply, size, interleaved):
    document = anthropic.types.Message.model_validate_json(FORMAT.write_reply(reply, answering()))
    streamed = sdk_message(_streamed(reply, size=size, interleaved=interleaved))

    assert _plain(streamed) == _plain(document)


def _streamed(reply: Reply, **how: Any) -> bytes:
    writer = FORMAT.stream_writer(answering())
    return b"".join(writer.write([event]) for event in events_of(reply, **how))


def _plain(message: anthropic.types.Message) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.json.decode(message.model_dump_json(exclude_none=True))
    said["usage"].pop("cache_creation", None)  # a stream's end has no place for it in the client's types
    said["usage"].pop("service_tier", None)
    return said


def _traffic() -> list[Any]:
    found = []
    for path in sorted(CASSETTES.glob("**/*.yaml")):
        text = path.read_text(encoding="utf-8")
        if "anthropic.com/v1/messages" not in text:
            continue
        for number, turn in enumerate(yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]):
            if turn["request"]["uri"].endswith("/v1/messages") and turn["response"]["status"]["code"] == 200:
                found.append(pytest.param(turn, id=f"{path.stem[:70]}-{number}"))
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="no cassettes here"))]


TRAFFIC = _traffic()


def _bodies(turn: Any) -> tuple[bytes, bytes]:
    asked, answer = turn["request"]["body"], turn["response"]["body"]["string"]
    asked = asked.encode() if isinstance(asked, str) else asked
    answer = answer.encode() if isinstance(answer, str) else answer
    return asked, gzip.decompress(answer) if answer.startswith(b"\x1f\x8b") else answer


@pytest.mark.parametrize("turn", TRAFFIC)
def test_recorded_requests_are_read_and_written_again(turn):
    asked, _ = _bodies(turn)
    said = msgspec.json.decode(asked)

    request = FORMAT.read_request(asked)
    again = FORMAT.read_request(FORMAT.write_request(request, model=said["model"], usage=True).body)

    assert request.others == ()
    assert len(request.messages) == len(said["messages"])
    assert len(request.tools) == len(said.get("tools", ()))
    if "thinking" not in said and "effort" not in said.get("output_config", ()):
        assert again == request
    assert (again.messages, again.tools, again.system) == (request.messages, request.tools, request.system)


@pytest.mark.parametrize("turn", TRAFFIC)
def test_recorded_answers_say_what_a_slow_reader_finds(turn):
    _, answer = _bodies(turn)
    slow = _slowly(answer)

    if answer.startswith(b"{"):
        reply = FORMAT.read_reply(answer)
    else:
        reply = reply_of(told(FORMAT.stream_reader(), [answer]))
        for chunks in ways(answer):
            assert reply_of(told(FORMAT.stream_reader(), chunks)) == reply

    words = "".join(part.text for part in reply.parts if isinstance(part, Text))
    thoughts = "".join(part.text for part in reply.parts if isinstance(part, Thinking))
    calls = [
        (part.id, part.name, msgspec.json.decode(part.arguments))
        for part in reply.parts
        if isinstance(part, ToolCall)
    ]
    assert (words, thoughts, calls) == (slow["text"], slow["thinking"], slow["calls"])
    assert reply.stop == {"end_turn": "end", "tool_use": "tool_calls"}.get(slow["stop"], slow["stop"])
    assert reply.usage is not None
    assert reply.usage.input_total == sum(slow["input"])
    assert reply.usage.output_total == slow["output"]
    assert bare(FORMAT.read_reply(FORMAT.write_reply(reply, answering()))) == bare(reply)
    assert bare(reply_of(told(FORMAT.stream_reader(), [_streamed(reply)]))) == bare(reply)


@pytest.mark.parametrize("turn", TRAFFIC)
def test_recorded_streams_that_are_cut_never_end(turn):
    _, answer = _bodies(turn)
    if answer.startswith(b"{"):
        return
    whole = answer.rstrip(b"\n")  # the last event says all it has to say without its blank line

    for part in cut_off(whole):
        gathering = Gathering()
        for event in told(FORMAT.stream_reader(), [part]):
            gathering.take(event)  # which takes no end


def _slowly(answer: bytes) -> dict[str, Any]:
    """The answer's content by the plainest means: dictionaries."""
    message = msgspec.json.decode(answer) if answer.startswith(b"{") else _put_together(answer)
    blocks = message["content"]
    usage = message["usage"]
    return {
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "thinking": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "calls": [(each["id"], each["name"], each["input"]) for each in blocks if each["type"] == "tool_use"],
        "stop": message["stop_reason"],
        "input": [value for name, value in usage.items() if name.endswith("input_tokens")],
        "output": usage["output_tokens"],
    }


def _put_together(stream: bytes) -> Any:
    events = [msgspec.json.decode(line[5:]) for line in stream.splitlines() if line.startswith(b"data:")]
    message = next(event["message"] for event in events if event["type"] == "message_start")
    message["content"] = [
        event["content_block"] for event in events if event["type"] == "content_block_start"
    ]
    pieces: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            for name in delta.keys() & {"text", "thinking"}:
                block[name] += delta[name]
            pieces[event["index"]] = pieces.get(event["index"], "") + delta.get("partial_json", "")
        elif event["type"] == "message_delta":
            message.update(event["delta"])
            message["usage"].update(event["usage"])
    for index, piece in pieces.items():
        if piece:
            message["content"][index]["input"] = msgspec.json.decode(piece)
    return message


def test_a_refusal_is_told_in_words_and_as_the_reason():
    reply = FORMAT.read_reply(
        b'{"content":[],"stop_reason":"refusal","stop_details":{"type":"refusal","explanation":"No."}}'
    )

    assert (reply.parts, reply.stop) == ((Refusal("No."),), "refusal")
    assert FORMAT.read_reply(FORMAT.write_reply(reply, answering())).parts == (Text("No."),)
    assert sdk_message(_streamed(reply)).stop_reason == "refusal"
