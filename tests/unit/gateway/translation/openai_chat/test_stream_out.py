from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Citation, Logprob
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    Likely,
    MediaPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.openai_chat.stream_out import ChatStreamWriter
from telemetry.records import Usage
from tests.fakes.chats import ANSWERING, chunks_of

LIKELY = Likely((Logprob(token="A", logprob=-0.5),))


def write(*events: Event, answering: Answering = ANSWERING) -> list[Any]:
    return chunks_of(ChatStreamWriter(answering).write([Started("1", "m"), *events]))


def deltas(*events: Event) -> list[Any]:
    return [one["choices"][0]["delta"] for one in write(*events)[1:]]


def test_usage_comes_last_and_only_if_it_is_wanted():
    events = [
        TextPiece("A"),
        Counted(Usage(input_uncached=1, output_text=2), b"", "flex"),
        Stopped("end"),
        Ended(),
    ]

    told = write(*events)
    silent = write(*events, answering=msgspec.structs.replace(ANSWERING, wants_usage=False))

    assert told[-1]["choices"] == []
    assert told[-1]["usage"]["total_tokens"] == 3
    assert [one["usage"] for one in told[:-1]] == [None] * 3
    assert told[-2]["choices"][0]["finish_reason"] == "stop"
    assert told[-2]["service_tier"] == "flex"
    assert not any("usage" in one for one in silent)


def test_only_a_whole_stream_ends():
    writer = ChatStreamWriter(ANSWERING)

    begun = writer.write([Started("1", "m"), TextPiece("A"), Stopped("end"), Failed("broken")])

    assert b"[DONE]" not in begun
    assert b'"finish_reason":"' not in begun
    assert writer.write([Ended()]).endswith(b"data: [DONE]\n\n")


def test_likelihoods_go_with_their_words_or_alone():
    together = write(TextPiece("A"), LIKELY)[1]["choices"][0]
    alone = write(TextPiece("A"), CallStarted(0, "a", "f"), LIKELY)[3]["choices"][0]

    assert together["delta"] == {"content": "A"}
    assert together["logprobs"]["content"][0]["token"] == "A"
    assert alone["delta"] == {}
    assert alone["logprobs"] == together["logprobs"]
    assert alone["finish_reason"] is None


def test_calls_without_arguments_get_an_empty_object():
    said = deltas(CallStarted(0, "a", "f"), CallStarted(1, "", "g"), CallPiece(0, "{}"), Ended())

    pieces = [
        (call["index"], call["function"]["arguments"]) for one in said for call in one.get("tool_calls", ())
    ]
    assert pieces == [(0, ""), (1, ""), (0, "{}"), (1, "{}")]
    assert said[1]["tool_calls"][0]["id"].startswith("call_0199")


def test_a_thought_is_repeated_where_it_is_signed():
    said = deltas(
        ThinkingPiece("Old"),
        TextPiece("A"),
        ThinkingPiece("H"),
        ThinkingPiece("m."),
        ThinkingSigned("c2ln", "anthropic"),
        ThinkingSigned("b3Bl", "openai", hidden=True, id="rs_1"),
    )

    blocks = [one["thinking_blocks"] for one in said if "thinking_blocks" in one]
    assert blocks == [
        [{"index": 0, "type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
        [{"index": 1, "type": "redacted_thinking", "data": "tg:openai:b3Bl", "id": "rs_1"}],
    ]


def test_citations_are_placed_in_the_whole_answer():
    cited = Cited(Citation(url="https://a.example"))

    said = deltas(
        TextPiece("One "), CallStarted(0, "a", "f"), TextPiece("two "), TextPiece("three"), cited, cited
    )

    places = [one["annotations"][0] for one in said if "annotations" in one]
    assert [place["index"] for place in places] == [0, 1]
    assert places[0]["url_citation"]["start_index"] == 4
    assert places[0]["url_citation"]["end_index"] == 13
    assert deltas(TextPiece("A"), Cited(Citation(document=0))) == [{"content": "A"}]


def test_pictures_and_sounds_are_told_and_nothing_else():
    said = deltas(
        MediaPiece("image/png", "AAAA"), MediaPiece("audio/wav", "BBBB"), MediaPiece("text/plain", "CCCC")
    )

    assert [list(one) for one in said] == [["images"], ["audio"]]
    assert said[0]["images"][0]["image_url"]["url"] == "data:image/png;base64,AAAA"


def test_a_stop_sequence_is_told():
    choice = write(Stopped("stop_sequence", "END"), Ended())[-1]["choices"][0]

    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")


def test_what_the_provider_did_not_say_is_made_from_the_call():
    said = chunks_of(ChatStreamWriter(ANSWERING).write([Started()]))[0]

    assert said["id"] == f"chatcmpl-{ANSWERING.call_id}"
    assert said["model"] == ANSWERING.model
