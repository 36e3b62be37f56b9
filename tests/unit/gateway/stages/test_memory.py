"""The memory stage against a real line to a hub that a test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import pytest

from gateway.asgi import Client, Headers
from gateway.clock import SystemClock
from gateway.errors import BadRequest
from gateway.exchange import Exchange, Identity
from gateway.link import CallFailed, LinkClient
from gateway.link_server import LinkServer
from gateway.principal import Principal
from gateway.processes.doors import bind_unix
from gateway.recollection import Asker, Question, Recollection, Used
from gateway.response_ids import DERIVED
from gateway.settings import Memory
from gateway.stages.memory import BUDGET_WITH_TOOLS, INLINE_BYTES, MANY_TOOLS, QUERY_CHARS, MemoryStage
from gateway.wire.base import Wire
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from telemetry.records import Injection
from tests.fakes.waiting import until

FOUND = Recollection(
    status="injected", block="- She lives in Lisbon", ids=("m-1", "m-2"), scores=(0.9, 0.5), tokens=12
)
ADA = Asker(project="p", environment="prod", user_id="ada")


class Hub:
    """Answers `recall` with whatever a test puts into `answer`, and remembers what it was asked and told."""

    def __init__(self) -> None:
        self.answer: object = FOUND
        self.delay_s = 0.0
        self.questions: list[Question] = []
        self.used: list[Used] = []

    async def recall(self, params: object) -> object:
        self.questions.append(msgspec.convert(params, Question))
        await asyncio.sleep(self.delay_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def confirm(self, params: object) -> object:
        self.used.append(msgspec.convert(params, Used))
        return None


class Caller:
    """As much of a client as the stage looks at."""

    def __init__(self) -> None:
        self.extra: Headers = []
        self.gone = False

    def told(self) -> dict[str, str]:
        return {
            name.decode().removeprefix("x-tidegate-memory-"): value.decode() for name, value in self.extra
        }


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def link(tmp_path: Path, hub: Hub) -> AsyncIterator[LinkClient]:
    server = LinkServer({"recall": hub.recall, "confirm": hub.confirm})
    await server.listen(bind_unix(tmp_path / "link.sock"))
    client = LinkClient(str(tmp_path / "link.sock"))
    client.start()
    assert await client.wait_connected(5)
    yield client
    await client.close()
    await server.close()


def body_of(*said: str, **more: object) -> bytes:
    return msgspec.json.encode(
        {"model": "m", "messages": [{"role": "user", "content": text} for text in said], **more}
    )


def exchange(
    body: bytes = body_of("Where does my sister live, and since when?"),
    *,
    headers: dict[bytes, bytes] | None = None,
    wire: Wire | None = None,
    user: str = "ada",
    agent: str = "",
    store: Literal["full", "metadata", "none"] = "full",
    allowed: Literal["on", "read", "write", "off"] = "on",
) -> Exchange:
    wire = wire or OpenAIChat()
    made = Exchange(
        call_id="c-1",
        wire=wire,
        headers=headers or {},
        body=body,
        client=cast("Client", Caller()),
        started_at_us=1,
        started_ns=1,
        principal=Principal(key_id="k", project="p", store=store, memory=allowed),
        identity=Identity(event_id="e", user_id=user, agent_id=agent, environment="prod"),
    )
    if isinstance(wire, OpenAIChat):
        made.peek = wire.peek(body)
    return made


def told(call: Exchange) -> dict[str, str]:
    return cast("Caller", call.client).told()


async def recalled(link: LinkClient, call: Exchange, **settings: Any) -> Exchange:
    stage = MemoryStage(link, Memory(**settings), SystemClock())
    if stage.concerns(call):
        await stage.recall(call)
    return call


async def test_what_is_remembered_goes_into_the_prompt_and_onto_the_row(link: LinkClient, hub: Hub) -> None:
    call = await recalled(link, exchange())

    asked = "Where does my sister live, and since when?"
    chain = blake2b(asked.encode(), digest_size=16).digest()
    assert hub.questions == [
        Question(asker=ADA, query=asked, window=(asked,), call_id="c-1", chain=chain, profile=300)
    ]
    (message,) = msgspec.json.decode(call.enriched)["messages"]
    assert [part["text"] for part in message["content"]] == [hub.questions[0].query, FOUND.block]
    assert call.body == exchange().body
    assert call.memory == Injection(
        status="injected",
        ids=FOUND.ids,
        scores=FOUND.scores,
        tokens=12,
        latency_us=call.memory.latency_us,
        block=FOUND.block,
        anchor=0,
    )
    assert call.memory_switch == "on"
    latency_ms = float(told(call).pop("latency-ms"))
    assert latency_ms == pytest.approx(call.memory.latency_us / 1000, abs=0.06)
    assert {name: value for name, value in told(call).items() if name != "latency-ms"} == {
        "status": "injected",
        "ids": "m-1,m-2",
        "tokens": "12",
    }


@pytest.mark.parametrize(
    ("call", "status", "switch"),
    [
        (exchange(user=""), "skipped:no_user", "on"),
        (exchange(headers={b"x-tidegate-memory": b"off"}), "skipped:off", "off"),
        (exchange(headers={b"x-tidegate-memory": b"write"}), "skipped:write", "write"),
        (exchange(headers={b"x-tidegate-memory": b"maybe"}), "skipped:bad_switch", "off"),
        (exchange(headers={b"x-tidegate-memory": b""}), "skipped:bad_switch", "off"),
        (exchange(b'{"model":"m","input":"x"}', wire=OpenAIEmbeddings()), "skipped:surface", "on"),
        (exchange(body_of()), "skipped:no_question", "on"),
        (exchange(body_of("", " ")), "skipped:no_question", "on"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_call_that_wants_no_memories_costs_no_question_and_says_why(
    link: LinkClient, hub: Hub, call: Exchange, status: str, switch: str
) -> None:
    await recalled(link, call)

    assert (call.memory, call.memory_switch) == (Injection(status=status), switch)
    assert told(call) == {"status": status}
    assert (hub.questions, call.enriched) == ([], b"")


@pytest.mark.parametrize("switch", [b"on", b"read", b" READ "])
async def test_the_header_wins_over_the_setting(link: LinkClient, switch: bytes) -> None:
    said = await recalled(link, exchange(headers={b"x-tidegate-memory": switch}), default="off")
    silent = await recalled(link, exchange(), default="off")

    assert (said.memory.status, said.memory_switch) == ("injected", switch.decode().strip().lower())
    assert (silent.memory.status, silent.memory_switch) == ("skipped:off", "off")


async def test_a_key_narrows_what_the_header_asks_for(link: LinkClient) -> None:
    asked = {b"x-tidegate-memory": b"on"}
    reading = await recalled(link, exchange(headers=asked, allowed="read"))
    writing = await recalled(link, exchange(headers=asked, allowed="write"))
    neither = await recalled(link, exchange(headers={b"x-tidegate-memory": b"write"}, allowed="read"))

    assert (reading.memory.status, reading.memory_switch) == ("injected", "read")
    assert (writing.memory.status, writing.memory_switch) == ("skipped:write", "write")
    assert (neither.memory.status, neither.memory_switch) == ("skipped:off", "off")


async def test_without_memory_nothing_is_said_of_it(link: LinkClient, hub: Hub) -> None:
    call = await recalled(link, exchange(headers={b"x-tidegate-memory": b"on"}), enabled=False)

    assert (told(call), call.memory, call.memory_switch) == ({}, Injection(), "off")
    assert hub.questions == []


async def test_an_agent_alone_has_memories_too(link: LinkClient, hub: Hub) -> None:
    call = await recalled(link, exchange(user="", agent="scout"))

    assert call.memory.status == "injected"
    assert hub.questions[0].asker == Asker(project="p", environment="prod", agent_id="scout")


async def test_a_short_turn_is_asked_with_the_one_before(link: LinkClient, hub: Hub) -> None:
    await recalled(link, exchange(body_of("My sister moved to Lisbon.", "And her dog?")))
    await recalled(link, exchange(body_of("My sister moved.", "Where do we stand with the garden plans?")))
    await recalled(link, exchange(body_of("x" * 3000 + "What is this?")))

    assert [question.query for question in hub.questions] == [
        "My sister moved to Lisbon.\nAnd her dog?",
        "Where do we stand with the garden plans?",
        ("x" * 3000 + "What is this?")[-QUERY_CHARS:],
    ]
    assert hub.questions[0].window == ("My sister moved to Lisbon.", "And her dog?")


async def test_a_prompt_with_tools_gets_a_smaller_block(link: LinkClient, hub: Hub) -> None:
    tools = body_of("hi", tools=[{"type": "function", "function": {"name": "f"}}])
    for body, budget in ((body_of("hi"), 700), (tools, 700), (tools, 100)):
        await recalled(link, exchange(body), budget_tokens=budget)

    assert [question.budget for question in hub.questions] == [700, BUDGET_WITH_TOOLS, 100]


async def test_a_tenth_of_the_models_window_is_the_most(link: LinkClient, hub: Hub) -> None:
    for window in (8192, 0):
        call = exchange()
        call.window = window
        await recalled(link, call)

    assert [question.most for question in hub.questions] == [819, 0]


async def test_a_slow_hub_is_given_up_at_the_deadline(link: LinkClient, hub: Hub) -> None:
    hub.delay_s = 30
    began = asyncio.get_running_loop().time()

    call = await recalled(link, exchange(), deadline_ms=50)

    assert 0.05 <= asyncio.get_running_loop().time() - began < 5
    assert (call.memory.status, call.enriched, call.memory.ids) == ("timeout", b"", ())
    assert call.memory.latency_us >= 50_000
    assert (told(call)["status"], told(call)["ids"], told(call)["tokens"]) == ("timeout", "", "0")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Recollection(status="empty"), "empty"),
        (Recollection(status="injected", ids=("m-1",)), "empty"),
        (Recollection(status="error", reason="embedder_away"), "error"),
        ({"status": "no such"}, "error"),
        ("nonsense", "error"),
        (CallFailed("embedder_away", "it is down"), "error"),
        (CallFailed("memory_busy", "too many at once"), "skipped:busy"),
    ],
    ids=["empty", "no block", "error", "unknown status", "nonsense", "refused", "busy"],
)
async def test_whatever_the_hub_says_the_call_goes_on(
    link: LinkClient, hub: Hub, answer: object, status: str
) -> None:
    hub.answer = answer

    call = await recalled(link, exchange())

    assert (call.memory.status, call.enriched, call.memory.ids) == (status, b"", ())
    assert (call.memory.block, call.memory.anchor) == ("", -1)
    assert told(call)["status"] == status


async def test_without_a_hub_the_call_goes_on_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = LinkClient(str(tmp_path / "nobody.sock"))
    stage = MemoryStage(link, Memory(), SystemClock())
    calls = [exchange(), exchange()]

    for call in calls:
        await stage.recall(call)

    assert [call.memory.status for call in calls] == ["error", "error"]
    assert [record.message for record in caplog.records] == ["recall_failed"]


async def test_a_body_that_cannot_be_edited_goes_as_it_is(link: LinkClient) -> None:
    call = await recalled(
        link, exchange(b'{"model":"m","messages":[{"role":"user","content":"where is it?","\xff":1}]}')
    )

    assert (call.memory.status, call.enriched, call.memory.ids) == ("error", b"", ())


async def test_a_key_that_stores_no_text_keeps_none_of_the_block(link: LinkClient) -> None:
    call = await recalled(link, exchange(store="metadata"))

    assert FOUND.block.encode() in call.enriched
    assert (call.memory.status, call.memory.ids, call.memory.block) == ("injected", FOUND.ids, "")


async def test_a_client_that_left_while_it_waited_costs_no_provider(link: LinkClient, hub: Hub) -> None:
    call = exchange()
    call.client.gone = True

    with pytest.raises(BadRequest) as caught:
        await recalled(link, call)

    assert caught.value.code == "client_left"
    assert call.memory.status == "injected"


async def test_only_memories_that_went_in_are_confirmed(link: LinkClient, hub: Hub) -> None:
    stage = MemoryStage(link, Memory(), SystemClock())
    without, with_some = exchange(user=""), exchange()
    for call in (without, with_some):
        if stage.concerns(call):
            await stage.recall(call)
        stage.confirm(call)

    await until(lambda: bool(hub.used))
    assert hub.used == [Used(asker=ADA, call_id="c-1", ids=FOUND.ids)]


async def test_that_nothing_was_found_is_confirmed_and_that_nobody_answered_is_not(
    link: LinkClient, hub: Hub
) -> None:
    stage = MemoryStage(link, Memory(deadline_ms=50), SystemClock())
    late, unwell, empty = exchange(), exchange(), exchange()
    hub.delay_s = 30
    await stage.recall(late)
    hub.delay_s, hub.answer = 0, Recollection(status="error", reason="index_away")
    await stage.recall(unwell)
    hub.answer = Recollection(status="empty")
    await stage.recall(empty)
    for call in (late, unwell, empty):
        stage.confirm(call)

    await until(lambda: bool(hub.used))
    assert [call.memory.status for call in (late, unwell, empty)] == ["timeout", "error", "empty"]
    assert hub.used == [Used(asker=ADA, call_id="c-1")]


async def test_what_stood_in_earlier_calls_stands_there_again(link: LinkClient, hub: Hub) -> None:
    hub.answer = Recollection(
        status="injected", block="- new", ids=("m-3",), tokens=2, replays=((0, "- old"), (7, "- stray")),
        profile="- Ada", profile_tokens=4, profile_ids=("m-9",),
    )  # fmt: skip

    call = await recalled(link, exchange(body_of("Where is she?", "And her dog, where is that?")))

    messages = msgspec.json.decode(call.enriched)["messages"]
    assert messages[0] == {"role": "system", "content": "- Ada"}
    assert [message["content"][1]["text"] for message in messages[1:]] == ["- old", "- new"]
    assert (call.memory.replayed, call.memory.profile_tokens, call.memory.anchor) == (1, 4, 1)
    assert told(call)["tokens"] == "6"
    assert call.shown == ("m-3", "m-9")


async def test_a_hub_whose_recall_fails_still_says_what_stood_there(link: LinkClient, hub: Hub) -> None:
    hub.answer = Recollection(status="error", reason="index_away", replays=((0, "- old"),))

    call = await recalled(link, exchange(body_of("Where is she?", "And her dog?")))

    assert (call.memory.status, call.memory.replayed) == ("error", 1)
    assert b"- old" in call.enriched


async def test_inside_a_loop_of_functions_nothing_is_looked_up(link: LinkClient, hub: Hub) -> None:
    hub.answer = Recollection(status="replayed", replays=((0, "- old"),))
    asked = [
        {"role": "user", "content": "weather?"},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]

    call = await recalled(link, exchange(msgspec.json.encode({"model": "m", "messages": asked})))

    assert (hub.questions[0].query, call.memory.status, call.memory.ids) == ("", "replayed", ())
    assert b"- old" in call.enriched


async def test_a_thread_is_named_by_its_client_only(link: LinkClient, hub: Hub) -> None:
    named, derived = exchange(), exchange()
    named.identity = msgspec.structs.replace(named.identity, thread_id="t")
    derived.identity = msgspec.structs.replace(named.identity, properties={DERIVED: "previous_response_id"})
    derived.shown = ("m-1",)
    for call in (named, derived):
        await recalled(link, call)

    assert [(asked.thread, asked.seen) for asked in hub.questions] == [("t", ()), ("", ("m-1",))]


async def test_an_agent_with_many_tools_gets_no_profile(link: LinkClient, hub: Hub) -> None:
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(MANY_TOOLS + 1)]
    for body in (body_of("hi", tools=tools), body_of("hi", tools=tools[1:]), body_of("hi")):
        await recalled(link, exchange(body), profile_tokens=200)
    await recalled(link, exchange(body_of("hi")), profile_tokens=0)

    assert [question.profile for question in hub.questions] == [0, 200, 200, 0]


async def test_a_large_body_is_read_beside_the_loop_and_gets_the_same(link: LinkClient) -> None:
    large = body_of("x" * INLINE_BYTES, "Where does she live?")

    call = await recalled(link, exchange(large))

    content = msgspec.json.decode(call.enriched)["messages"][1]["content"]
    assert content[1]["text"] == FOUND.block


async def test_a_route_has_a_switch_of_its_own(link: LinkClient) -> None:
    off, asked = exchange(), exchange(headers={b"x-tidegate-memory": b"read"})
    off.memory_default = asked.memory_default = "off"
    for call in (off, asked):
        await recalled(link, call)

    assert [call.memory.status for call in (off, asked)] == ["skipped:off", "injected"]


async def test_a_hub_that_is_away_misses_the_confirmation_and_nobody_waits(
    link: LinkClient, hub: Hub
) -> None:
    stage = MemoryStage(link, Memory(), SystemClock())
    call = exchange()
    await stage.recall(call)
    await link.close()

    stage.confirm(call)

    assert hub.used == []
