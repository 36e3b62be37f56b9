from __future__ import annotations

import msgspec
import pytest
from rich.console import Console

from gateway import calls_tree

CALL = {
    "call_id": "c-1",
    "started_at": "2026-11-21T10:00:00.000000Z",
    "model": "smart",
    "provider": "openai",
    "deployment": "openai/gpt-5",
    "status": "ok",
    "http_status": 200,
    "finish_reason": "stop",
    "input_tokens": 12,
    "output_tokens": 30,
    "cost_nano_usd": 315_000,
    "cost_usd": "0.000315",
    "cost_reason": None,
    "total_us": 1_234_567,
    "first_byte_us": 45_600,
    "attempts": [{"deployment": "openai/gpt-5", "http_status": 200, "started_us": 0, "ended_us": 900}],
    "user_id": "ada",
    "thread_id": "t-9",
    "error_message": None,
    "something_new": {"a": 1},
}


def show(*calls: dict[str, object], **page: object) -> list[str]:
    parsed = calls_tree.parse(msgspec.json.encode({"calls": [{**CALL, **call} for call in calls], **page}))
    console = Console(width=300, color_system=None)
    with console.capture() as capture:
        console.print(calls_tree.build("event e-1", parsed))
    return capture.get().splitlines()


def test_a_call_shows_what_it_cost_took_and_answered():
    title, first, facts, totals = show({})

    assert title == "event e-1"
    assert "ok  smart  on openai/gpt-5  12 in, 30 out  $0.000315  1.23 s (first byte 45.6 ms)" in first
    assert "c-1  2026-11-21T10:00:00.000000Z  HTTP 200  finish stop  user ada  thread t-9" in facts
    assert "1 call, 12 in, 30 out, $0.000315" in totals


def test_attempts_are_shown_when_one_failed():
    attempts = [
        {
            "deployment": "a/m",
            "http_status": 429,
            "error_type": "rate_limit",
            "error_message": "slow\ndown",
            "started_us": 10,
            "ended_us": 510,
        },
        {"deployment": "b/m", "http_status": 200, "started_us": 600, "ended_us": 2600},
    ]
    text = "\n".join(show({"attempts": attempts}))

    assert "attempt 1  a/m  HTTP 429  500 us  rate_limit: slow down" in text
    assert "attempt 2  b/m  HTTP 200  2.0 ms" in text
    assert "attempt" not in "\n".join(show({}))


def test_an_unknown_cost_shows_its_reason_and_is_not_counted_as_nothing():
    text = show({}, {"cost_nano_usd": None, "cost_reason": "no_price"})

    assert "no cost: no_price" in text[3]
    assert text[-1].endswith("2 calls, 24 in, 60 out, $0.000315, 1 without a cost")


def test_a_profile_counts_as_remembered_though_nobody_looked_for_it():
    memory = {
        "status": "injected",
        "ids": ["m-1", "m-9"],
        "scores": [0.9, 0.0],
        "tokens": 40,
        "profile_tokens": 30,
    }

    text = show({"memory": memory})

    assert "70 tokens: m-1 (0.90), m-9 (profile)" in text[3]


def test_a_free_call_costs_zero_and_not_unknown():
    assert "$0.00" in show({"cost_nano_usd": 0})[1]


def test_a_batch_says_which_call_has_its_cost():
    text = show({"cost_nano_usd": 0, "cost_reason": "settled", "price_version": "c-9"})
    assert "settled by c-9" in text[1]


def test_unknown_tokens_are_not_zero():
    assert "tokens unknown" in show({"input_tokens": None, "output_tokens": None})[1]
    assert "tokens unknown" in show({"input_tokens": 0, "output_tokens": 0, "usage_source": "none"})[1]
    assert "12 in, ? out" in show({"output_tokens": None})[1]


def test_estimated_tokens_say_so():
    assert "  about 12 in, 30 out" in show({"usage_source": "estimated"})[1]


def test_a_first_byte_that_never_came_is_not_shown():
    assert "first byte" not in show({"first_byte_us": 0})[1]


def test_an_error_is_said_once_by_the_attempt_that_met_it():
    attempt = {
        "deployment": "a/m",
        "http_status": 429,
        "error_type": "rate_limit",
        "error_message": "slow down",
    }
    text = "\n".join(show({"error_message": '{"error": "slow down"}', "attempts": [attempt]}))

    assert text.count("slow down") == 1
    assert "attempt 1  a/m  HTTP 429  rate_limit: slow down" in text


def test_a_failed_call_shows_its_message_shortened():
    text = "\n".join(show({"status": "error", "error_message": "x" * 500}))

    assert "x" * 199 + "…" in text
    assert "x" * 200 not in text


def test_text_from_outside_is_not_markup():
    text = "\n".join(show({"model": "[red]m[/red]", "error_message": "[/bold] [link=x]"}))

    assert "[red]m[/red]" in text
    assert "[/bold] [link=x]" in text


def test_no_calls_and_more_calls_are_said():
    assert "no calls" in show()[1]
    assert "--limit" in show({}, next_cursor="abc")[-1]


def test_what_is_no_answer_of_the_api_is_refused():
    for body in (b"<html>", b"[]", b'{"calls": [{}]}'):
        with pytest.raises(msgspec.DecodeError):
            calls_tree.parse(body)


def test_a_call_shows_its_memories_and_why_there_are_none():
    memory = {"status": "injected", "ids": ["m-1", "m-2"], "scores": [0.9, 0.51], "tokens": 40}
    with_some, without = (
        show({"memory": {**memory, "latency_us": 4200}}),
        show({"memory": {"status": "timeout"}}),
    )

    assert "memory injected" in with_some[2]
    assert "remembered in 4.2 ms, 40 tokens: m-1 (0.90), m-2 (0.51)" in with_some[3]
    assert "memory timeout" in without[2]
    assert "remembered" not in "\n".join(without)
