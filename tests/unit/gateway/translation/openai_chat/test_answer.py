from __future__ import annotations

import pytest

from gateway.translation.conversation import Citation, Logprob
from gateway.translation.openai_chat.answer import (
    annotation_of,
    call_id,
    logprobs_of,
    read_annotations,
    read_logprobs,
    reason_of,
    stop_of,
    usage_of,
)
from telemetry.records import Usage


@pytest.mark.parametrize(
    ("reason", "given", "stop"),
    [
        ("stop", {}, "end"),
        ("stop", {"called": True}, "tool_calls"),
        ("stop", {"refused": True}, "refusal"),
        ("stop", {"sequence": "END"}, "stop_sequence"),
        ("length", {"called": True}, "length"),
        ("content_filter", {}, "filter"),
        ("function_call", {}, "tool_calls"),
        ("model_length", {}, "length"),
        ("insufficient_system_resource", {}, "other"),
    ],
)
def test_a_finish_reason_says_why_a_model_stopped(reason, given, stop):
    assert stop_of(reason, **{"sequence": "", "called": False, "refused": False, **given}) == stop


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end", "stop"), ("stop_sequence", "stop"), ("length", "length"), ("context", "length"), ("pause", "stop"),
        ("tool_calls", "tool_calls"), ("filter", "content_filter"), ("refusal", "content_filter"), ("other", "stop"),
    ],
)  # fmt: skip
def test_a_stop_has_a_finish_reason(stop, reason):
    assert reason_of(stop, called=False, refused=False) == reason


def test_a_model_that_calls_or_refuses_in_words_has_its_own_reason():
    assert reason_of("end", called=True, refused=False) == "tool_calls"
    assert reason_of("refusal", called=False, refused=True) == "stop"


def test_usage_counts_details_inside_their_totals():
    usage = Usage(
        input_uncached=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, input_audio=5, output_text=6, output_reasoning=7
    )  # fmt: skip

    said = usage_of(usage)

    assert (said["prompt_tokens"], said["completion_tokens"], said["total_tokens"]) == (15, 13, 28)
    assert said["prompt_tokens_details"]["cached_tokens"] == 2
    assert said["prompt_tokens_details"]["cache_write_tokens"] == 7
    assert said["prompt_tokens_details"]["audio_tokens"] == 5
    assert said["completion_tokens_details"]["reasoning_tokens"] == 7


def test_an_id_is_made_that_openai_takes_back():
    made = call_id("", "0199f8a0-5cf1-7c43-9d5e-0a1b2c3d4e5f", 12)

    assert call_id("toolu_1", "x", 0) == "toolu_1"
    assert made != call_id("", "0199f8a0-5cf1-7c43-9d5e-0a1b2c3d4e5f", 1)
    assert len(made) <= 40


def test_logprobs_of_words_and_of_refusals_are_read():
    one = {"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}

    assert read_logprobs({"content": [one], "refusal": [one]}) == (Logprob(token="a", logprob=-1.0),) * 2
    assert read_logprobs({"content": None, "refusal": None}) == ()
    assert read_logprobs({"content": [1]}) == ()
    assert logprobs_of(()) is None


def test_a_citation_is_placed_in_the_whole_answer():
    said = annotation_of(Citation(url="https://a.example", start=2, end=4), 10, 20)
    vague = annotation_of(Citation(url="https://a.example", title="A"), 10, 20)

    assert said is not None
    assert vague is not None
    assert said["url_citation"] == {
        "url": "https://a.example",
        "title": "https://a.example",
        "start_index": 12,
        "end_index": 14,
    }
    assert (vague["url_citation"]["start_index"], vague["url_citation"]["end_index"]) == (10, 20)
    assert annotation_of(Citation(document=0, quote="x"), 0, 1) is None


def test_annotations_that_cite_no_page_are_passed_over():
    good = {"type": "url_citation", "url_citation": {"url": "u", "start_index": 1, "end_index": "2"}}

    assert list(read_annotations([1, {}, {"type": "file", "file": {}}, {"url_citation": 3}, good])) == [
        Citation(url="u", start=1, end=2)
    ]
    assert list(read_annotations("x")) == []
