"""Everything an exchange knows arrives in its frames, each thing in its own field."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from gateway.asgi import Client
from gateway.errors import JournalFull, UnknownModel
from gateway.exchange import Exchange, Identity
from gateway.principal import Principal
from gateway.stages.record import Recorder
from gateway.upload import Upload
from gateway.wire.base import Finding, Peek
from gateway.wire.openai_chat import OpenAIChat
from telemetry import segments
from telemetry.journal import Journal
from telemetry.records import (
    Answer,
    Attempt,
    Call,
    Cost,
    Frame,
    Injection,
    Opened,
    Outcome,
    Request,
    Settled,
    Usage,
)

FIRST = Attempt(deployment="a/x", provider="a", model="x", started_us=10, ended_us=20, error_type="Timeout")
LAST = Attempt(deployment="b/y", provider="b", model="y", started_us=30, ended_us=90)


class Clock:
    """Stands still."""

    def now_us(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return 1_100_000


def exchange(**changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "call_id": "call",
        "wire": OpenAIChat(),
        "headers": {},
        "body": b"asked",
        "client": cast("Client", SimpleNamespace(status=200, gone=False, finished=True)),
        "started_at_us": 7,
        "started_ns": 1_000_000,
        "principal": Principal(key_id="key", project="project"),
        "identity": Identity(
            event_id="event",
            event_id_made=True,
            user_id="user",
            agent_id="agent",
            thread_id="thread",
            environment="environment",
            trace_id="trace",
            parent_span_id="span",
            step="step",
            tags=("tag",),
            properties={"name": "value"},
        ),
        "peek": Peek(model="model", stream=True, parameters={"n": 2}),
        "route": "route",
        "memory_switch": "read",
        "memory": Injection(status="injected", ids=("m",)),
    }
    return Exchange(**(fields | changes))


def answered(made: Exchange) -> Exchange:
    made.attempts += [FIRST, LAST]
    made.finding = Finding(
        finish_reason="stop", response_model="y-2026", response_id="resp", raw_usage=b'{"n":1}'
    )
    made.content_type = "text/event-stream"
    made.first_byte_ns, made.first_token_ns = 1_040_000, 1_050_000
    made.answer, made.answer_bytes = [b"sa", b"id"], 4
    made.usage, made.usage_source = Usage(output_text=3), "provider"
    made.cost = Cost(total_nano_usd=5, lines={"output_text": 5}, price_row="y")
    return made


class House:
    """A recorder with a real journal."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self._folder = folder
        self.journal = Journal(folder, writer="w", reserve_bytes=1 << 20, **changes)
        self.counted: list[tuple[Call, Outcome]] = []
        self.refused: list[str] = []
        self.recorder = Recorder(
            self.journal,
            Clock(),
            version="9.9",
            count=lambda call, how: self.counted.append((call, how)),
            refused=self.refused.append,
        )

    def frames(self) -> list[Frame]:
        (segment,) = segments.writers(self._folder)["w"]
        return [frame for _, frame in segments.read(segment.path, 0, limit_bytes=1 << 30).frames]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.journal.close()


CALL = Call(
    call_id="call",
    started_at_us=7,
    surface="openai.chat",
    operation="chat",
    project="project",
    environment="environment",
    key_id="key",
    user_id="user",
    agent_id="agent",
    event_id="event",
    event_id_made=True,
    thread_id="thread",
    trace_id="trace",
    parent_span_id="span",
    step="step",
    tags=("tag",),
    properties={"name": "value"},
    model="model",
    route="route",
    stream=True,
    parameters={"n": 2},
    request_bytes=5,
    memory="read",
    gateway="9.9",
)
OUTCOME = Outcome(
    status="ok",
    http_status=200,
    provider="b",
    deployment="b/y",
    response_model="y-2026",
    response_id="resp",
    finish_reason="stop",
    attempts=(FIRST, LAST),
    first_byte_us=40,
    first_token_us=50,
    total_us=100,
    overhead_us=20,
    usage=Usage(output_text=3),
    usage_source="provider",
    raw_usage=b'{"n":1}',
    cost=Cost(total_nano_usd=5, lines={"output_text": 5}, price_row="y"),
    response_bytes=4,
    memory=Injection(status="injected", ids=("m",)),
)


async def test_a_call_becomes_four_frames_that_hold_all_of_it(house: House) -> None:
    made = exchange()

    await house.recorder.open(made, alone=True)
    house.recorder.settle(answered(made))

    opened, request, settled, answer = house.frames()
    assert (opened, settled) == (Opened(CALL), Settled(CALL, OUTCOME))
    assert isinstance(request, Request)
    assert isinstance(answer, Answer)
    assert (request.payload.content_type, request.payload.body) == ("application/json", b"asked")
    assert (answer.payload.content_type, answer.payload.body) == ("text/event-stream", b"said")
    assert {request.payload.call_id, answer.payload.call_id} == {"call"}
    assert house.counted == [(CALL, OUTCOME)]


@pytest.mark.parametrize(
    ("switch", "user_id", "agent_id", "remembered"),
    [
        ("on", "ann", "", True),
        ("write", "", "agent", True),
        ("on", "", "", False),
        ("read", "ann", "", False),
        ("off", "ann", "agent", False),
    ],
)
async def test_a_request_may_be_remembered_if_that_is_wanted_and_it_is_somebodys(
    house: House, switch: str, user_id: str, agent_id: str, *, remembered: bool
) -> None:
    whose = Identity(event_id="event", user_id=user_id, agent_id=agent_id, thread_id="thread")

    await house.recorder.open(exchange(memory_switch=switch, identity=whose), alone=True)

    request = house.frames()[1]
    assert isinstance(request, Request)
    payload = request.payload
    assert (payload.remember, payload.thread_id) == (remembered, "thread" if remembered else "")
    assert (payload.user_id, payload.agent_id) == ((user_id, agent_id) if remembered else ("", ""))


async def test_a_key_that_stores_metadata_leaves_no_bodies(house: House) -> None:
    made = exchange(principal=Principal(key_id="key", store="metadata"))

    await house.recorder.open(made, alone=True)
    house.recorder.settle(answered(made))

    opened, settled = house.frames()
    assert isinstance(opened, Opened)
    assert isinstance(settled, Settled)
    assert settled.outcome.capture == "none"


async def test_what_was_added_to_a_call_after_it_was_opened_is_in_its_settlement(house: House) -> None:
    made = exchange()

    await house.recorder.open(made, alone=True)
    made.call = msgspec.structs.replace(CALL, properties={"budgets_away": "true"})
    house.recorder.settle(answered(made))

    frames = house.frames()
    assert frames[0] == Opened(CALL)
    assert frames[2] == Settled(made.call, OUTCOME)


def test_a_call_refused_before_it_was_opened_is_settled_with_its_error(house: House) -> None:
    made = exchange(peek=None, error=UnknownModel("no such model", param="model"))

    house.recorder.settle(made)

    (settled,) = house.frames()
    assert isinstance(settled, Settled)
    assert settled.call == msgspec.structs.replace(CALL, model="", stream=False, parameters={})
    how = settled.outcome
    assert (how.status, how.error_type, how.error_message) == ("error", "UnknownModel", "no such model")
    assert (how.provider, how.attempts, how.overhead_us) == ("", (), 100)


async def test_a_call_the_journal_has_no_room_for_is_refused_counted_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, quota_bytes=1)
    made = exchange()

    with pytest.raises(JournalFull) as caught:
        await house.recorder.open(made, alone=True)
    made.error = caught.value
    house.recorder.settle(made)

    assert house.frames() == []
    assert house.counted == []
    assert house.refused == ["journal_full"]
    house.journal.close()


async def test_calls_that_begin_together_are_opened_in_one_write_but_for_those_given_up(house: House) -> None:
    made = [exchange(call_id=name) for name in ("one", "two", "three", "four")]

    opened = [house.recorder.open(one, alone=False) for one in made]
    opened[1].cancel()
    assert house.journal.status().frames == 0
    await asyncio.gather(opened[0], *opened[2:])

    assert [one.call is not None for one in made] == [True, False, True, True]
    kinds = [(type(frame), frame.call.call_id) for frame in house.frames() if isinstance(frame, Opened)]
    assert kinds == [(Opened, "one"), (Opened, "three"), (Opened, "four")]


async def test_a_call_that_cannot_be_written_does_not_take_the_others_with_it(house: House) -> None:
    made = [
        exchange(call_id="one"),
        exchange(call_id="two", started_at_us=1 << 70),
        exchange(call_id="three"),
    ]

    said = await asyncio.gather(
        *(house.recorder.open(one, alone=False) for one in made), return_exceptions=True
    )

    assert [type(one) for one in said] == [type(None), OverflowError, type(None)]
    assert [one.call is not None for one in made] == [True, False, True]


async def test_of_a_body_that_was_only_passed_on_the_row_says_what_it_was(house: House) -> None:
    form = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--'
    sent = cast("Client", SimpleNamespace(part=_whole(form), over=False))
    made = exchange(
        body=b"", peek=Peek(model=""), upload=Upload(sent, {b"content-type": b"multipart/x"}, silence_s=9)
    )

    await house.recorder.open(made, alone=True)
    assert made.upload is not None
    assert [part async for part in made.upload] == [form]
    made.answer_bytes = 900
    house.recorder.settle(made)

    opened, settled = house.frames()
    assert isinstance(opened, Opened)
    assert isinstance(settled, Settled)
    assert (opened.call.model, opened.call.request_bytes) == ("", 0)
    assert (settled.call.model, settled.call.request_bytes) == ("whisper-1", len(form))
    assert (settled.outcome.response_bytes, settled.outcome.capture) == (900, "cut")


def _whole(body: bytes) -> Callable[[], Awaitable[tuple[bytes, bool]]]:
    async def part() -> tuple[bytes, bool]:
        return body, True

    return part
