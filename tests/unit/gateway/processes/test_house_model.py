"""The house asked by itself; a scripted server stands in for its public door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.internal import BEHALF
from gateway.processes.house_model import HouseModel
from gateway.settings import Memory, Server
from memory.errors import BadAnswer, ModelAway
from memory.manager import Asked
from memory.scope import Scope
from tests.fakes.provider import Provider, Script, chat, refusal

ASKED = Asked(
    purpose="memory.extract",
    scope=Scope(project="pro ject", environment="test", user="zoë%41", agent="guide"),
    thread_id="thread",
    event_id="event",
    job_id="job",
    messages=[{"role": "user", "content": "hi"}],
    schema={"type": "object"},
)


class House:
    """A door with a script behind it."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        settings = Memory(model="smart", vision_model="openai/eyes")
        self.model = HouseModel(
            settings, Server(host="0.0.0.0", port=provider.port), SystemClock(), token="tgi-1"
        )


@pytest.fixture
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    async with Provider(getattr(request, "param", chat("an answer"))) as provider:
        made = House(provider)
        yield made
        await made.model.close()


async def test_a_call_says_for_whom_and_what_it_is_made(house: House) -> None:
    assert await house.model.ask(ASKED) == "an answer"

    (request,) = house.provider.requests
    headers = request.headers
    assert request.path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer tgi-1"
    assert msgspec.json.decode(headers[BEHALF.decode()]) == {"project": "pro%20ject", "environment": "test"}
    assert unquote(headers["x-tidegate-user-id"]) == "zoë%41"
    said = {
        name: headers[f"x-tidegate-{name}"]
        for name in ("agent-id", "thread-id", "event-id", "step", "memory")
    }
    assert said == {
        "agent-id": "guide",
        "thread-id": "thread",
        "event-id": "event",
        "step": "memory.extract",
        "memory": "off",
    }
    assert headers["x-tidegate-property-purpose"] == "memory"
    body = request.json()
    assert body["model"] == "smart"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


async def test_pictures_go_to_a_model_of_their_own_and_plain_text_needs_no_schema(house: House) -> None:
    nobody = Scope(project="p", environment="prod", agent="guide")
    asked = msgspec.structs.replace(ASKED, purpose="memory.caption", schema=None, scope=nobody, event_id="")
    await house.model.ask(asked)

    (request,) = house.provider.requests
    assert request.json() == {"model": "openai/eyes", "messages": [{"role": "user", "content": "hi"}]}
    assert "x-tidegate-user-id" not in request.headers
    assert "x-tidegate-event-id" not in request.headers


@pytest.mark.parametrize("house", [refusal(429), refusal(401), refusal(500)], indirect=True)
async def test_a_refusal_means_later(house: House) -> None:
    with pytest.raises(ModelAway) as away:
        await house.model.ask(ASKED)
    assert away.value.code in ("model_429", "model_401", "model_500")


CUT = {"choices": [{"message": {"content": "{"}, "finish_reason": "length"}]}


@pytest.mark.parametrize(
    "house",
    [
        chat(""),
        Script(body=b"no json"),
        Script(body=b'{"choices": []}'),
        Script(body=msgspec.json.encode(CUT)),
    ],
    indirect=True,
)
async def test_an_answer_without_a_whole_text_cannot_be_used(house: House) -> None:
    with pytest.raises(BadAnswer):
        await house.model.ask(ASKED)


async def test_a_house_that_is_down_means_later() -> None:
    async with Provider() as provider:
        house = House(provider)
    with pytest.raises(ModelAway):
        await house.model.ask(ASKED)
    await house.model.close()
