"""A provider's prompt cache is worth as much with memory as without.

Ten turns with tools behind 3,000 tokens of instructions, another memory recalled at each turn, two workers taking
turns; in every format, through stage, line and hub.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway.asgi import Client, Headers
from gateway.clock import SystemClock
from gateway.exchange import Exchange, Identity
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.principal import Principal
from gateway.processes.doors import bind_unix
from gateway.processes.memories import scope_of
from gateway.recollection import CONFIRM, RECALL, Question, Used
from gateway.settings import Memory
from gateway.stages.memory import MemoryStage
from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Wire
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_memory import ChatConversation
from gateway.wire.openai_responses import OpenAIResponses
from memory.proposals import Asked
from tests.fakes.scripted_memory import Talk

INSTRUCTIONS = "Answer in one sentence, and cite the manual. " * 270
RESULT = "It rains in Lisbon, and the wind comes from the west. " * 8
TURNS = 10
Json = dict[str, Any]


# --- the same conversation in four formats: of each turn what the user says, the call, its result, the answer -----


def chat(turns: int, step: int) -> Json:
    messages: list[Json] = [{"role": "system", "content": INSTRUCTIONS}]
    for turn in range(turns):
        call = {"id": f"c{turn}", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        messages += [
            {"role": "user", "content": f"How is the weather on day {turn}?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{turn}", "content": RESULT},
            {"role": "assistant", "content": f"It rains on day {turn}."},
        ]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    return {"model": "m", "tools": tools, "messages": messages[: len(messages) - 3 + 2 * step]}


def anthropic(turns: int, step: int) -> Json:
    """As Claude Code does it: a breakpoint behind the instructions, and one that moves with the last message."""
    mark = {"type": "ephemeral"}
    messages: list[Json] = []
    for turn in range(turns):
        call = {"type": "tool_use", "id": f"c{turn}", "name": "weather", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"c{turn}", "content": RESULT}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": f"How is the weather on day {turn}?"}]},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": [{"type": "text", "text": f"It rains on day {turn}."}]},
        ]
    sent = messages[: len(messages) - 3 + 2 * step]
    system = [{"type": "text", "text": INSTRUCTIONS, "cache_control": mark}]
    tools = [{"name": "weather", "input_schema": {"type": "object"}}]
    sent[-1]["content"][-1]["cache_control"] = mark
    return {"model": "m", "max_tokens": 9, "tools": tools, "system": system, "messages": sent}


def responses(turns: int, step: int) -> Json:
    items: list[Json] = []
    for turn in range(turns):
        items += [
            {"role": "user", "content": f"How is the weather on day {turn}?"},
            {"type": "function_call", "call_id": f"c{turn}", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": f"c{turn}", "output": RESULT},
            {"role": "assistant", "content": f"It rains on day {turn}."},
        ]
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]
    sent = items[: len(items) - 3 + 2 * step]
    return {"model": "m", "store": False, "tools": tools, "instructions": INSTRUCTIONS, "input": sent}


def gemini(turns: int, step: int) -> Json:
    contents: list[Json] = []
    for turn in range(turns):
        result = {"name": "weather", "response": {"result": RESULT}}
        contents += [
            {"role": "user", "parts": [{"text": f"How is the weather on day {turn}?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": result}]},
            {"role": "model", "parts": [{"text": f"It rains on day {turn}."}]},
        ]
    tools = [{"functionDeclarations": [{"name": "weather"}]}]
    system = {"parts": [{"text": INSTRUCTIONS}]}
    return {"tools": tools, "systemInstruction": system, "contents": contents[: len(contents) - 3 + 2 * step]}


def prompt(body: bytes) -> bytes:
    """Return a request as a model reads it: tools, instructions, then message after message, breakpoints aside."""
    said = msgspec.json.decode(body)
    parts = [said.get(name) for name in ("tools", "system", "instructions", "systemInstruction")]
    for name in ("messages", "input", "contents"):
        parts += said.get(name, ())
    for part in parts:
        for block in part.get("content") or () if isinstance(part, dict) else ():
            if isinstance(block, dict):
                block.pop("cache_control", None)
    return b"\n".join(msgspec.json.encode(part) for part in parts)


def share(prompts: list[bytes]) -> float:
    """Return how much of the prompts stood in the one before."""
    kept = sum(common(one, other) for one, other in itertools.pairwise(prompts))
    return kept / sum(len(one) for one in prompts[1:])


def common(one: bytes, other: bytes) -> int:
    """Return for how many bytes both are the same."""
    lengths = range(1, min(len(one), len(other)) + 1)
    return bisect.bisect_left(lengths, 1, key=lambda length: not other.startswith(one[:length]))


class Hub:
    """What the hub does with a question, over a scripted memory."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    async def recall(self, params: object) -> object:
        asked = msgspec.convert(params, Question)
        anchors = [asked.chain[at : at + 16] for at in range(0, len(asked.chain), 16)]
        fields = {
            name: getattr(asked, name)
            for name in ("call_id", "query", "window", "budget", "thread", "profile")
        }
        return await self.talk.proposals.propose(scope_of(asked.asker), Asked(anchors=anchors, **fields))

    async def confirm(self, params: object) -> object:
        used = msgspec.convert(params, Used)
        return await self.talk.proposals.confirm(scope_of(used.asker), used.call_id, used.ids)


class Caller:
    """As much of a client as the stage looks at."""

    def __init__(self) -> None:
        self.extra: Headers = []
        self.gone = False


class House:
    """Two workers and a hub, as far as memory is concerned."""

    def __init__(self, talk: Talk, workers: list[MemoryStage]) -> None:
        self.talk = talk
        self._workers = workers
        self._calls = 0

    async def send(self, wire: Wire, said: Json, *, thread: str = "") -> Exchange:
        """Let a worker take the call, and its provider."""
        self._calls += 1
        body = msgspec.json.encode(said)
        call = Exchange(
            call_id=f"c-{self._calls}",
            wire=wire,
            headers={},
            body=body,
            client=cast("Client", Caller()),
            started_at_us=1,
            started_ns=1,
            principal=Principal(key_id="k", project="p"),
            identity=Identity(event_id="e", user_id="alice", thread_id=thread, environment="prod"),
        )
        call.peek = wire.peek(body, model="m")
        worker = self._workers[self._calls % len(self._workers)]
        if worker.concerns(call):
            await worker.recall(call)
        worker.confirm(call)
        return call


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        talk = await Talk(tmp_path).open()
        stack.push_async_callback(talk.close)
        hub = Hub(talk)
        server = LinkServer({RECALL: hub.recall, CONFIRM: hub.confirm})
        await server.listen(bind_unix(tmp_path / "link.sock"))
        stack.push_async_callback(server.close)
        workers = []
        for _ in range(2):
            link = LinkClient(str(tmp_path / "link.sock"))
            link.start()
            stack.push_async_callback(link.close)
            assert await link.wait_connected(5)
            workers.append(MemoryStage(link, Memory(deadline_ms=10_000), SystemClock()))
        yield House(talk, workers)


FORMATS: list[tuple[Wire, Callable[[int, int], Json]]] = [
    (OpenAIChat(), chat),
    (OpenAIResponses(), responses),
    (AnthropicMessages(), anthropic),
    (GeminiGenerate(), gemini),
]


@pytest.mark.parametrize(("wire", "talk"), FORMATS, ids=lambda value: getattr(value, "surface", ""))
@pytest.mark.parametrize("thread", ["", "t-1"])
async def test_with_memory_as_much_of_a_prompt_stood_in_the_one_before(
    house: House, wire: Wire, talk: Callable[[int, int], Json], thread: str
) -> None:
    house.talk.memory.learn("Call me Ada", kind="instruction")
    house.talk.memory.learn(*(f"On day {day} I was in town number {day}" for day in range(2 * TURNS)))
    plain, remembered, new = [], [], []
    for turn in range(1, TURNS + 1):
        for step in (0, 1):
            said = talk(turn, step)
            call = await house.send(wire, said, thread=thread)
            plain.append(prompt(msgspec.json.encode(said)))
            remembered.append(prompt(call.enriched))
            new.append(call.memory.ids)

    assert share(plain) > 0.9
    assert share(remembered) >= 0.97 * share(plain)
    assert [len(ids) for ids in new] == [2, 0, *[1, 0] * (TURNS - 1)], (
        "a memory for each turn, none for the results of functions, and that of the profile with the first"
    )
    assert len(set(new)) == TURNS + 1, "and always another one"
    assert remembered[-1].count(b"<recalled-memories>") == TURNS + 1
    assert remembered[-1].count(b"Call me Ada") == 1


def test_a_profile_that_changes_is_seen_by_this_measure() -> None:
    plain, remembered = [], []
    for turn in range(1, TURNS + 1):
        body = msgspec.json.encode(chat(turn, 0))
        plain.append(prompt(body))
        remembered.append(prompt(ChatConversation(body).remember([], f"She likes number {turn}")))

    assert share(remembered) < 0.97 * share(plain)
