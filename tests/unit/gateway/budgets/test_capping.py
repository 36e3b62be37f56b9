"""A limit is found or written where each format has it, and the rest of the body keeps its bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.budgets.capping import cap

CHAT, GEMINI = "openai.chat", "gemini.generate"


def capped(surface: str, asked: dict[str, Any], most: int = 100, provider: str = "fake") -> Any:
    return cap(surface, provider, asked, msgspec.json.encode(asked), most)


@pytest.mark.parametrize(
    ("surface", "provider", "written"),
    [
        (CHAT, "openai", {"max_completion_tokens": 100}),
        (CHAT, "azure", {"max_completion_tokens": 100}),
        (CHAT, "groq", {"max_tokens": 100}),
        ("openai.completions", "openai", {"max_tokens": 100}),
        ("openai.responses", "openai", {"max_output_tokens": 100}),
        ("anthropic.messages", "anthropic", {"max_tokens": 100}),
        (GEMINI, "gemini", {"generationConfig": {"maxOutputTokens": 100}}),
        ("bedrock.converse", "bedrock", {"inferenceConfig": {"maxTokens": 100}}),
    ],
)
def test_a_request_without_a_limit_gets_one(surface: str, provider: str, written: dict[str, Any]) -> None:
    found = capped(surface, {"model": "m", "messages": []}, provider=provider)

    assert msgspec.json.decode(found.body) == {"model": "m", "messages": [], **written}
    assert (found.tokens, found.told) == (100, 100)


def test_a_small_limit_stays_and_no_byte_changes() -> None:
    body = b'{ "max_tokens" : 7, "odd": 1.00 }'

    assert cap(CHAT, "openai", {"max_tokens": 7, "odd": 1.0}, body, 100) == (body, 7, 0)


def test_a_large_limit_is_lowered_where_it_stands_and_other_values_keep_their_bytes() -> None:
    body = b'{"max_tokens": 7000, "max_completion_tokens": 8000, "odd": 1.00}'

    found = cap(CHAT, "openai", msgspec.json.decode(body), body, 100)

    assert found is not None
    assert found.body == b'{"max_tokens":100,"max_completion_tokens":100,"odd":1.00}'
    assert (found.tokens, found.told) == (100, 100)


def test_the_smaller_of_two_limits_counts_if_the_larger_is_too_large() -> None:
    assert capped(CHAT, {"max_tokens": 7, "max_completion_tokens": 8000}).tokens == 7


@pytest.mark.parametrize("odd", ["5", 5.5, True, 0, -3, [5], None])
def test_what_is_no_number_of_tokens_is_no_limit(odd: object) -> None:
    found = capped(CHAT, {"max_tokens": odd})

    assert msgspec.json.decode(found.body) == {"max_tokens": 100}


@pytest.mark.parametrize(
    ("surface", "asked", "times"),
    [
        (CHAT, {"n": 3}, 3),
        (CHAT, {"n": 2.5}, 3),
        (CHAT, {"n": -3}, 1),
        (CHAT, {"n": None}, 1),
        (CHAT, {"n": 1 << 40}, 1 << 40),
        ("openai.completions", {"n": 2, "best_of": 5}, 5),
        ("openai.completions", {"prompt": ["a", "b", "c"], "n": 2}, 6),
        ("openai.completions", {"prompt": [1, 2, 3]}, 1),
        (GEMINI, {"generationConfig": {"candidateCount": 4}}, 4),
    ],
)
def test_each_answer_may_be_as_long(surface: str, asked: dict[str, Any], times: int) -> None:
    assert capped(surface, asked).tokens == 100 * times


@pytest.mark.parametrize("odd", ["3", True, [3]])
def test_a_number_of_answers_that_is_none_has_no_bound(odd: object) -> None:
    assert capped(CHAT, {"max_tokens": 5, "n": odd}) is None


def test_geminis_snake_case_is_one_more_way_to_say_it() -> None:
    said = capped(GEMINI, {"generation_config": {"max_output_tokens": 5000, "top_k": 3}})
    unsaid = capped(GEMINI, {"generation_config": {"top_k": 3}})

    assert msgspec.json.decode(said.body) == {"generation_config": {"max_output_tokens": 100, "top_k": 3}}
    assert msgspec.json.decode(unsaid.body) == {"generation_config": {"maxOutputTokens": 100, "top_k": 3}}


def test_vectors_are_no_tokens_and_other_formats_have_no_limit() -> None:
    assert capped("openai.embeddings", {"input": "x"}).tokens == 0
    assert capped("openai.passthrough", {"max_tokens": 5}) is None


def test_where_nothing_may_be_written_only_a_limit_of_the_clients_counts() -> None:
    assert capped(CHAT, {"max_tokens": 7000}, most=0) == (b'{"max_tokens":7000}', 7000, 0)
    assert capped(CHAT, {}, most=0) is None
