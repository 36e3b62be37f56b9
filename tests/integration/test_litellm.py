"""Models named litellm/...: a process of their own, started when the first of them is asked for."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from anthropic import Anthropic
from anthropic.types import ToolParam

from tests.fakes import anthropic as fake
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream, refusal
from tests.fakes.tidegate import PATIENCE_S, Tidegate, eventually

GPT = "litellm/openai/gpt-4o-mini"
CLAUDE = f"litellm/anthropic/{fake.MODEL}"
KEY = "sk-of-the-providers-account"
TOOL = {"name": "weather", "description": "Look.", "parameters": {"type": "object", "properties": {}}}


def openai(request: Received) -> Script:
    """Answer as the words ask: `429`, `401`, `stall`, or plainly."""
    asked = request.json()
    if request.path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        body = {"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage}
        return Script(body=msgspec.json.encode(body))
    words = asked["messages"][-1]["content"]
    if words == "429":
        return refusal(429, "Slow down.", code="rate_limit_exceeded", headers=(("retry-after", "70"),))
    if words == "401":
        return refusal(401, f"Incorrect API key provided: {KEY}.")
    if words == "stall":
        script = chat_stream(["Hel", "lo"])
        begun = [piece for piece in script.wire()[:3] if isinstance(piece, bytes)]
        return msgspec.structs.replace(script, stall_at=sum(map(len, begun)))
    return chat_stream() if asked.get("stream") else chat()


class Scene:
    """A house, the providers that litellm finds, and what was to be seen before anybody asked it."""

    def __init__(self, house: Tidegate, openai: Provider, anthropic: Provider) -> None:
        self.house = house
        self.openai = openai
        self.anthropic = anthropic
        self.before = (house.pids("litellm"), self.state())

    def state(self) -> str:
        """What health says of the process."""
        sinks = self.house.get("/health/ready").json()["sinks"]
        return next(str(sink["detail"]["state"]) for sink in sinks if sink["name"] == "litellm")

    def events(self, words: str, model: str = GPT, **body: Any) -> list[Any]:
        """Ask for a stream; return its events."""
        reply = self.house.chat(words, model=model, stream=True, **body)
        assert reply.headers["content-type"].startswith("text/event-stream"), reply.body
        told = [line.removeprefix(b"data: ") for line in reply.body.split(b"\n\n") if line]
        return [b"[DONE]" if event == b"[DONE]" else msgspec.json.decode(event) for event in told]

    def begun(self) -> http.client.HTTPConnection:
        """Ask for a stream that stalls after its first words; return the connection when those are there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=PATIENCE_S)
        body = {"model": GPT, "messages": [{"role": "user", "content": "stall"}], "stream": True}
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", msgspec.json.encode(body), headers)
        return connection


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("litellm")
    with Provider(openai).in_thread() as gpt, Provider(fake.anthropic).in_thread() as claude:
        nobody = {"base_url": "http://127.0.0.1:9/v1", "api_key": "x"}
        config = {
            "server": {"drain_s": 1},
            "providers": {"litellm": {"env": {"ANTHROPIC_API_BASE": claude.base_url}}, "nobody": nobody},
            "routes": {"safe": {"deployments": [{"model": "nobody/x"}], "fallbacks": [GPT]}},
            "retries": {"backoff_ms": [0, 0]},
        }
        env = {"OPENAI_API_BASE": f"{gpt.base_url}/v1", "OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": "sk-ant"}
        with Tidegate(folder, config, env=env) as house:
            assert house.chat("hi").status == 200
            yield Scene(house, gpt, claude)


def test_nothing_starts_before_somebody_asks(scene: Scene) -> None:
    assert scene.before == ([], "not started")
    assert scene.house.chat("hi", model=GPT).status == 200
    assert len(scene.house.pids("litellm")) == 1
    assert scene.state() == "up"


def test_an_answer_is_openais(scene: Scene) -> None:
    reply = scene.house.chat("hi", model=GPT)

    assert reply.status == 200, reply.body
    said = reply.json()
    assert said["object"] == "chat.completion"
    assert said["model"] == "openai/gpt-4o-mini"
    assert said["choices"][0]["message"] == {**said["choices"][0]["message"], "content": "Hello!"}
    assert scene.openai.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert scene.openai.requests[-1].json()["model"] == "gpt-4o-mini"


def test_a_call_is_recorded_and_priced_as_that_of_the_provider_behind(scene: Scene) -> None:
    numbers = itertools.count(1)

    def look() -> dict[str, Any] | None:
        """Call once more: on a slow machine the first calls come before the price table."""
        assert scene.house.chat("hi", model=GPT, event="ev-priced").status == 200
        rows = scene.house.await_calls(next(numbers), event_id="ev-priced")
        return next((row for row in rows if row["cost_reason"] != "no_price_table"), None)

    row = eventually(look, what="a priced call")

    assert (row["provider"], row["deployment"]) == ("litellm", GPT)
    assert row["usage"] == {"input_uncached": 9, "output_text": 3}
    assert row["cost_lines"] == {"input_uncached": 9 * 150, "output_text": 3 * 600}


def test_a_stream_comes_as_it_is_made_and_its_usage_only_if_wanted(scene: Scene) -> None:
    events = scene.events("hi")

    assert "".join(e["choices"][0]["delta"].get("content") or "" for e in events[:-1]) == "Hello!"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1] == b"[DONE]"
    *_, usage, done = scene.events("hi", stream_options={"include_usage": True})
    assert (usage["choices"], usage["usage"]["completion_tokens"], done) == ([], 3, b"[DONE]")
    assert "cost" not in usage["usage"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_of_another_format_calls_tools(scene: Scene, *, stream: bool) -> None:
    tools = [{"type": "function", "function": TOOL}]
    if stream:
        deltas = [e["choices"][0]["delta"] for e in scene.events("hi", CLAUDE, tools=tools)[:-1]]
        calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
        name = calls[0]["function"]["name"]
        arguments = "".join(call["function"].get("arguments") or "" for call in calls)
    else:
        message = scene.house.chat("hi", model=CLAUDE, tools=tools).json()["choices"][0]["message"]
        (call,) = message["tool_calls"]
        name, arguments = call["function"]["name"], call["function"]["arguments"]

    assert (name, msgspec.json.decode(arguments)) == ("weather", {"city": "Oslo"})
    assert scene.anthropic.requests[-1].path == "/v1/messages"


def test_anthropics_client_reaches_it(scene: Scene) -> None:
    client = Anthropic(base_url=scene.house.url, api_key="unused", timeout=PATIENCE_S, max_retries=0)
    tool: ToolParam = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
    with client.messages.stream(
        model=CLAUDE, max_tokens=100, messages=[{"role": "user", "content": "hi"}], tools=[tool]
    ) as stream:
        message = stream.get_final_message()
    client.close()

    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[1].input == {"city": "Oslo"}  # type: ignore[union-attr]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", fake.USAGE["output_tokens"])


def test_embeddings_are_made(scene: Scene) -> None:
    asked = {"model": "litellm/openai/text-embedding-3-small", "input": "hi"}
    reply = scene.house.request("POST", "/v1/embeddings", asked)

    assert reply.status == 200, reply.body
    assert reply.json()["data"][0]["embedding"] == [0.5, 0.25]


@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_is_told_with_the_pause_it_asks_for_and_met_once(scene: Scene, *, stream: bool) -> None:
    model = "litellm/openai/gpt-4o"
    before = len(scene.openai.requests)
    reply = scene.house.chat("429", model=model, stream=stream)

    assert (reply.status, reply.headers["retry-after"]) == (429, "70")
    assert "Slow down." in reply.json()["error"]["message"]
    assert len(scene.openai.requests) == before + 1


def test_a_key_is_in_no_error_and_in_no_log(scene: Scene) -> None:
    reply = scene.house.chat("401", model="litellm/openai/gpt-4")

    assert reply.status == 401
    assert "Incorrect API key provided: ***" in reply.json()["error"]["message"]
    assert KEY not in scene.house.log()


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"api_base": "http://127.0.0.1:9"}, 400, "unsupported_parameter"),
        ({"model": "litellm/huggingface/http://127.0.0.1:9/x"}, 400, "model_not_found"),
        ({"model": "litellm/nobody/knows"}, 400, None),
    ],
)
def test_nobody_sends_our_keys_elsewhere(scene: Scene, said: dict[str, Any], status: int, code: str) -> None:
    reply = scene.house.chat("hi", **{"model": GPT, **said})

    assert (reply.status, reply.json()["error"]["code"]) == (status, code), reply.body


def test_it_is_a_fallback_as_any_other(scene: Scene) -> None:
    reply = scene.house.chat("hi", model="safe")

    assert (reply.status, reply.json()["model"]) == (200, "openai/gpt-4o-mini"), reply.body


def test_a_client_that_hangs_up_ends_the_providers_work(scene: Scene) -> None:
    before = scene.openai.hung_up
    connection = scene.begun()
    with connection.getresponse() as answer:
        assert answer.read1()
    connection.close()

    eventually(lambda: scene.openai.hung_up > before, what="the provider to be left")


def test_its_death_ends_its_own_calls_and_the_next_one_starts_it_again(scene: Scene) -> None:
    connection = scene.begun()
    answer = connection.getresponse()
    assert b"Hel" in answer.read1()
    (former,) = scene.house.pids("litellm")
    os.kill(former, signal.SIGKILL)
    try:
        rest = answer.read()
    except http.client.IncompleteRead as error:
        rest = error.partial
    answer.close()
    connection.close()
    with ThreadPoolExecutor() as pool:
        others = pool.submit(scene.house.chat, "hi")
        replies = list(pool.map(lambda _: scene.house.chat("hi", model=GPT), range(4)))

    assert b'"error"' in rest
    assert b"[DONE]" not in rest
    assert others.result().status == 200
    assert [reply.status for reply in replies] == [200] * 4
    (later,) = scene.house.pids("litellm")
    assert later != former
