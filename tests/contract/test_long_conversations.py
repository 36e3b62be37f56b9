"""Twenty turns with parallel tools, thoughts and images, through every pair of formats."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway.translation.conversation import Message, Reply, Text, Thinking, ToolCall, ToolResult
from gateway.translation.formats import PROVIDERS
from telemetry.records import Usage
from tests.fakes.clouds import check_converse
from tests.fakes.conversations import SCHEMAS
from tests.fakes.crossings import (
    CHAT,
    CLIENTS,
    CONVERSE,
    GENERATE,
    MESSAGES,
    MODELS,
    RESPONSES,
    answer_of,
    cross,
)

TURNS = 20
CACHED = {"cache_control": {"type": "ephemeral"}}


class Turn(NamedTuple):
    """What is unique in a turn."""

    question: str
    image: str
    signature: str
    answer: str
    calls: tuple[tuple[str, str], ...]
    """Arguments and result of each."""


def turn(number: int) -> Turn:
    calls = tuple((f"call-{number:02}{one}", f"result-{number:02}{one}") for one in "ab")
    return Turn(
        f"question-{number:02}",
        _base64(f"image {number:04}"),
        _base64(f"signature {number:05}"),
        f"answer-{number:02}",
        calls,
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode().ljust(3 * (len(text) // 3 + 1), b".")).decode()


def reply_to(asked: Turn, provider: str, *, last: bool) -> Reply:
    """A thought, then words and calls of two functions at once."""
    family = PROVIDERS[provider].family
    thought = Thinking(text="Hm.", signature=asked.signature if signs(provider) else "", origin=family)
    calls = tuple(
        ToolCall(id=_id(provider, one), name="look_up", arguments=f'{{"q":"{one}"}}')
        for one, _ in asked.calls
    )
    if last:
        return Reply(parts=(thought, Text(asked.answer)), usage=Usage())
    return Reply(parts=(thought, *calls), stop="tool_calls", usage=Usage())


def _id(provider: str, name: str) -> str:
    return "" if provider == GENERATE else f"{'toolu' if provider == MESSAGES else 'call'}_{name[-3:]}"


def signs(provider: str) -> bool:
    return provider != CHAT


class Talk:
    """A client's conversation in its own format."""

    def __init__(self, client: str) -> None:
        self.said: list[Any] = []
        self._tell, self._ask, self._return = HABITS[client]

    def ask(self, asked: Turn) -> None:
        self.said.append(self._ask(asked))

    def take(self, answer: Any, asked: Turn) -> None:
        """Put the answer into the conversation as it is, and what its calls returned after it."""
        self.said += self._tell(answer)
        self.said += self._return(answer, asked)


Habit = tuple[Callable[[Any], list[Any]], Callable[[Turn], Any], Callable[[Any, Turn], list[Any]]]


def _results(asked: Turn, ids: list[str]) -> Iterator[tuple[str, str]]:
    return zip(ids, [result for _, result in asked.calls], strict=True) if ids else iter(())


def _return_to_chat(answer: Any, asked: Turn) -> list[Any]:
    ids = [one["id"] for one in answer["choices"][0]["message"].get("tool_calls") or ()]
    return [{"role": "tool", "tool_call_id": one, "content": said} for one, said in _results(asked, ids)]


def _return_to_responses(answer: Any, asked: Turn) -> list[Any]:
    ids = [one["call_id"] for one in answer["output"] if one["type"] == "function_call"]
    return [
        {"type": "function_call_output", "call_id": one, "output": said} for one, said in _results(asked, ids)
    ]


def _return_to_messages(answer: Any, asked: Turn) -> list[Any]:
    ids = [one["id"] for one in answer["content"] if one["type"] == "tool_use"]
    content = [
        {"type": "tool_result", "tool_use_id": one, "content": said} for one, said in _results(asked, ids)
    ]
    return [{"role": "user", "content": content}] if content else []


def _return_to_generate(answer: Any, asked: Turn) -> list[Any]:
    parts = answer["candidates"][0]["content"]["parts"]
    ids = [one["functionCall"].get("id", "") for one in parts if "functionCall" in one]
    responses = [
        {
            "functionResponse": {
                "name": "look_up",
                "response": {"output": said},
                **({"id": one} if one else {}),
            }
        }
        for one, said in _results(asked, ids)
    ]
    return [{"role": "user", "parts": responses}] if responses else []


HABITS: dict[str, Habit] = {
    CHAT: (
        lambda answer: [answer["choices"][0]["message"]],
        lambda asked: {
            "role": "user",
            "content": [
                {"type": "text", "text": asked.question},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{asked.image}"}},
            ],
        },
        _return_to_chat,
    ),
    RESPONSES: (
        lambda answer: list(answer["output"]),
        lambda asked: {
            "role": "user",
            "content": [
                {"type": "input_text", "text": asked.question},
                {"type": "input_image", "image_url": f"data:image/png;base64,{asked.image}"},
            ],
        },
        _return_to_responses,
    ),
    MESSAGES: (
        lambda answer: [{"role": "assistant", "content": answer["content"]}],
        lambda asked: {
            "role": "user",
            "content": [
                {"type": "text", "text": asked.question},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": asked.image},
                },
            ],
        },
        _return_to_messages,
    ),
    GENERATE: (
        lambda answer: [answer["candidates"][0]["content"]],
        lambda asked: {
            "role": "user",
            "parts": [
                {"text": asked.question},
                {"inlineData": {"mimeType": "image/png", "data": asked.image}},
            ],
        },
        _return_to_generate,
    ),
}
SCHEMA = msgspec.json.decode(SCHEMAS[0])


def body_of(client: str, said: list[Any]) -> dict[str, Any]:
    """The request that holds the conversation so far."""
    tool = {"name": "look_up", "description": "Look it up."}
    match client:
        case "openai.chat":
            function = {**tool, "parameters": SCHEMA}
            return {
                "messages": [{"role": "system", "content": "Be brief."}, *said],
                "tools": [{"type": "function", "function": function}],
                "reasoning_effort": "low",
            }
        case "openai.responses":
            function = {"type": "function", **tool, "parameters": SCHEMA, "strict": False}
            return {
                "input": said,
                "instructions": "Be brief.",
                "tools": [function],
                "store": False,
                "include": ["reasoning.encrypted_content"],
                "reasoning": {"effort": "low"},
            }
        case "anthropic.messages":
            return {
                "messages": said,
                "system": [{"type": "text", "text": "Be brief.", **CACHED}],
                "tools": [{**tool, "input_schema": SCHEMA, **CACHED}],
                "max_tokens": 4096,
                "thinking": {"type": "enabled", "budget_tokens": 1024},
            }
        case _:
            return {
                "contents": said,
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "tools": [{"functionDeclarations": [{**tool, "parametersJsonSchema": SCHEMA}]}],
                "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
            }


def hold(client: str, provider: str) -> tuple[bytes, list[str]]:
    """Hold the whole conversation; return the last request, and in their order what must be in it."""
    talk, marks = Talk(client), list[str]()
    for number in range(TURNS):
        asked = turn(number)
        talk.ask(asked)
        marks += [asked.question, asked.image]
        for last in (False, True):
            crossing = cross(client, provider, body_of(client, talk.said))
            reading = crossing.reading(stream=False)
            reading.feed(answer_of(provider, reply_to(asked, provider, last=last)))
            talk.take(msgspec.json.decode(reading.end()), asked)
            marks += [asked.signature] if signs(provider) else []
            marks += (
                [asked.answer]
                if last
                else [words for pair in zip(*asked.calls, strict=True) for words in pair]
            )
    talk.ask(turn(TURNS))
    return cross(client, provider, body_of(client, talk.said)).body, marks


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_twenty_turns_with_parallel_tools_thoughts_and_images_lose_nothing(
    client: str, provider: str
) -> None:
    body, marks = hold(client, provider)

    assert b"Be brief." in body
    at = 0
    for mark in marks:
        found = body.find(mark.encode(), at)
        assert found >= 0, f"{mark} is not where it was said"
        at = found + len(mark)
    if provider == CONVERSE:
        check_converse(body, MODELS[CONVERSE])
        return
    form: Any = PROVIDERS[provider]
    _check_results(form.read_request(body).messages)


def _check_results(messages: tuple[Message, ...]) -> None:
    """Every call has its own result in the message after it."""
    open_: list[ToolCall] = []
    count = 0
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for call, result in zip(open_[: len(results)], results, strict=True):
            assert call.id == result.id
            (said,) = result.parts
            assert isinstance(said, Text)
            assert said.text.removeprefix("result") in call.arguments.replace("call", "")
            count += 1
        open_ = open_[len(results) :]
        open_ += [part for part in message.parts if isinstance(part, ToolCall)]
    assert not open_
    assert count == 2 * TURNS


def test_cache_points_stand_where_they_stood() -> None:
    talk = Talk(MESSAGES)
    for number in range(TURNS):
        asked = turn(number)
        talk.ask(asked)
        talk.said.append({"role": "assistant", "content": [{"type": "text", "text": asked.answer}]})
    talk.ask(turn(TURNS))
    talk.said[-3]["content"][-1].update(CACHED)
    talk.said[-1]["content"][0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}

    said = msgspec.json.decode(cross(MESSAGES, CONVERSE, body_of(MESSAGES, talk.said)).body)

    point = {"cachePoint": {"type": "default"}}
    assert said["system"] == [{"text": "Be brief."}, point]
    assert said["toolConfig"]["tools"][-1] == point
    assert said["messages"][-3]["content"][-1] == point
    assert said["messages"][-1]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert msgspec.json.encode(said).count(b"cachePoint") == 4
