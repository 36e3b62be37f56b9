from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.providers.sandbox_completions import TextCompletion, text_completion
from gateway.providers.sandbox_script import script_of


def answer(**body: Any) -> TextCompletion:
    return text_completion("echo", body, script_of("echo", body), b"seed")


def texts(found: TextCompletion) -> list[str]:
    return [choice["text"] for choice in msgspec.json.decode(found.document())["choices"]]


def test_the_prompt_is_completed_with_itself():
    assert texts(answer(prompt="once")) == ["once"]
    assert texts(answer(prompt="once", echo=True)) == ["onceonce"]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [(["a", "b"], ["a", "a", "b", "b"]), ([1, 2], ["1 2", "1 2"]), ([[1], [2]], ["1", "1", "2", "2"])],
)
def test_each_prompt_has_its_choices(prompt, said):
    assert texts(answer(prompt=prompt, n=2)) == said


def test_an_answer_that_is_too_long_is_cut():
    found = msgspec.json.decode(answer(prompt="once upon a time", max_tokens=2).document())

    assert found["choices"] == [
        {"text": "once upon", "index": 0, "logprobs": None, "finish_reason": "length"}
    ]
    assert found["usage"] == {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}


def test_a_stream_adds_up_to_the_document():
    found = answer(prompt="once upon a time")
    events = list(found.events(include_usage=True, chunks=None))
    chunks = [msgspec.json.decode(event[6:]) for event in events[:-1]]

    assert events[-1] == b"data: [DONE]\n\n"
    assert "".join(c["choices"][0]["text"] for c in chunks[:-1]) == "once upon a time"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], found.usage)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


@pytest.mark.parametrize("prompt", [7, {}, [], [{}], [None]])
def test_a_prompt_that_is_none_is_refused(prompt):
    with pytest.raises(BadRequest) as refused:
        answer(prompt=prompt)

    assert refused.value.param == "prompt"
