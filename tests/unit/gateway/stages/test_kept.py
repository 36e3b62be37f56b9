"""The stage for kept responses against a real line to a store of ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway.asgi import Client, Headers
from gateway.clock import SystemClock
from gateway.errors import BadRequest, Unavailable, UnknownResponse
from gateway.exchange import Exchange, Identity
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.principal import Principal
from gateway.processes.doors import bind_unix
from gateway.processes.response_store import ResponseStore
from gateway.providers.openai import OpenAICompatible
from gateway.routing.course import all_of
from gateway.routing.deployments import Deployment, Plan
from gateway.settings import Timeouts
from gateway.stages.kept import NOT_KEPT, KeptStage
from gateway.surfaces import KEPT
from gateway.wire.base import Wire
from gateway.wire.openai_responses import OpenAIResponses


def deployment(provider: str, model: str = "m") -> Deployment:
    made = OpenAICompatible(provider, f"http://{provider}.example/v1")
    return Deployment(id=f"{provider}/{model}", provider=made, model=model, secret=f"key-of-{provider}")


A, A2, B = deployment("a"), deployment("a", "m2"), deployment("b")


class Caller:
    """As much of a client as the stage looks at."""

    def __init__(self) -> None:
        self.extra: Headers = []
        self.gone = False


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LinkServer]:
    store = ResponseStore(tmp_path / "responses.sqlite", SystemClock())
    made = LinkServer(store.handlers)
    await made.listen(bind_unix(tmp_path / "link.sock"))
    yield made
    await made.close()
    await store.close()


@pytest.fixture
async def link(tmp_path: Path, server: LinkServer) -> AsyncIterator[LinkClient]:
    client = LinkClient(str(tmp_path / "link.sock"))
    client.start()
    assert await client.wait_connected(5)
    yield client
    await client.close()


@pytest.fixture
def stage(link: LinkClient) -> KeptStage:
    return KeptStage(link)


def exchange(wire: Wire, body: bytes = b"", *, named: str = "", environment: str = "prod") -> Exchange:
    made = Exchange(
        call_id="c-1",
        wire=wire,
        headers={},
        body=body,
        named=named,
        client=cast("Client", Caller()),
        started_at_us=1,
        started_ns=1,
        principal=Principal(key_id="k", project="p"),
        identity=Identity(event_id="e", user_id="ada", environment=environment),
    )
    made.peek = wire.peek(body, model=named)
    return made


def asking(**said: Any) -> Exchange:
    return exchange(OpenAIResponses(), msgspec.json.encode({"model": "m", "input": "hi", **said}))


def fetching(response_id: str, method: str = "GET", below: str = "", **more: Any) -> Exchange:
    return exchange(KEPT[method, below], named=response_id, **more)


def among(*deployments: Deployment) -> Any:
    return lambda _: Plan(deployments=deployments, timeouts=Timeouts())


async def make(
    stage: KeptStage,
    response_id: str,
    *,
    by: Deployment = A,
    body: bytes = b"",
    shown: tuple[str, ...] = (),
    **said: Any,
) -> Exchange:
    """Let a call be answered with this id, and memories be put into it."""
    call = asking(**said)
    await stage.plan(call, among(by))
    call.shown += shown
    call.deployment = by.id
    call.reading = call.wire.reading(stream=False, strip_usage=False)
    call.reading.feed(body or b'{"id":"%b","status":"completed"}' % response_id.encode())
    call.reading.end()
    assert call.on_id is not None
    await call.on_id(call, response_id)
    return call


async def test_a_response_is_fetched_from_where_it_was_made(stage: KeptStage) -> None:
    await make(stage, "resp_1", by=B)
    call = fetching("resp_1")

    plan = await stage.plan(call, among(A, B))

    (found,) = plan.deployments
    asked = found.provider.request("openai.responses", {}, b"", secret=found.secret, stream=False)
    assert (asked.method, asked.origin.host, asked.path) == ("GET", "b.example", "/v1/responses/resp_1")
    assert found.secret == "key-of-b"
    assert call.peek is not None
    assert call.peek.model == "b/m"
    assert call.on_id is None


async def test_what_a_provider_keeps_is_asked_of_nobody_else(stage: KeptStage) -> None:
    await make(stage, "resp_1", by=A)
    route = Plan(
        deployments=(A,), strategy="weighted", fallbacks=(B,), context_window_fallback=B, timeouts=Timeouts()
    )

    for call in (fetching("resp_1"), asking(previous_response_id="resp_1")):
        assert [one.id for one in all_of(await stage.plan(call, lambda _: route))] == ["a/m"]


async def test_a_key_for_some_users_finds_what_these_had_made_and_nothing_else(stage: KeptStage) -> None:
    await make(stage, "resp_1")  # for ada
    for users, there in ((("ad*",), True), (("bob",), False)):
        for call in (fetching("resp_1"), fetching("resp_1", "DELETE"), asking(previous_response_id="resp_1")):
            call.principal = msgspec.structs.replace(call.principal, users=users)
            if there:
                assert (await stage.plan(call, among(A))).deployments
            else:
                with pytest.raises((UnknownResponse, BadRequest), match="not found"):
                    await stage.plan(call, among(A))


async def test_an_id_means_nothing_in_another_environment(stage: KeptStage) -> None:
    await make(stage, "resp_1")

    with pytest.raises(UnknownResponse, match="Response with id 'resp_1' not found"):
        await stage.plan(fetching("resp_1", environment="test"), among(A))


async def test_which_memories_a_conversation_was_shown_goes_with_each_of_its_responses(
    stage: KeptStage,
) -> None:
    await make(stage, "resp_1", shown=("m-1", "m-2"))
    await make(stage, "resp_2", shown=("m-3",), previous_response_id="resp_1")
    await make(stage, "resp_3", previous_response_id="resp_2")
    branch, late = asking(previous_response_id="resp_1"), asking(previous_response_id="resp_3")
    for call in (branch, late):
        await stage.plan(call, among(A))

    assert branch.shown == ("m-1", "m-2")
    assert late.shown == ("m-1", "m-2", "m-3")


async def test_an_id_of_a_provider_that_is_gone_is_of_nobody(stage: KeptStage) -> None:
    await make(stage, "resp_1", by=B)

    plan = await stage.plan(fetching("resp_1"), among(A))

    assert plan.deployments == ()


async def test_a_conversation_goes_on_where_it_began(stage: KeptStage) -> None:
    await make(stage, "resp_1", by=A2)

    plan = await stage.plan(asking(previous_response_id="resp_1"), among(B, A, A2))

    assert [one.id for one in plan.deployments] == ["a/m2", "a/m"]


@pytest.mark.parametrize("elsewhere", [(B,), ()])
async def test_a_conversation_that_cannot_go_on_is_refused_as_openai_does(
    stage: KeptStage, elsewhere: tuple[Deployment, ...]
) -> None:
    await make(stage, "resp_1", by=A)
    previous = "resp_1" if elsewhere else "resp_unknown"

    with pytest.raises(BadRequest) as refused:
        await stage.plan(asking(previous_response_id=previous), among(*elsewhere))

    assert (refused.value.code, refused.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


async def test_an_answer_that_the_provider_does_not_keep_is_not_written_down(stage: KeptStage) -> None:
    call = asking(store=False)

    await stage.plan(call, among(A))

    assert call.on_id is None


async def test_a_deleted_response_is_forgotten(stage: KeptStage) -> None:
    await make(stage, "resp_1")
    call = fetching("resp_1", "DELETE")
    await stage.plan(call, among(A))
    assert call.on_id is not None

    await call.on_id(call, "resp_1")

    with pytest.raises(UnknownResponse):
        await stage.plan(fetching("resp_1"), among(A))


async def test_what_a_background_response_used_is_counted_by_the_first_who_learns_it(
    stage: KeptStage,
) -> None:
    await make(stage, "resp_1", body=b'{"id":"resp_1","status":"queued"}')
    usages = []
    for status in (b"in_progress", b"completed", b"completed"):
        call = fetching("resp_1")
        await stage.plan(call, among(A))
        call.reading = call.wire.reading(stream=False, strip_usage=False)
        call.reading.feed(
            b'{"id":"resp_1","status":"%b","usage":{"input_tokens":7,"output_tokens":2}}' % status
        )
        call.reading.end()
        if call.on_id is not None:
            await call.on_id(call, "resp_1")
        usages.append(call.reading.finding().usage is not None)

    assert usages == [False, True, False]


async def test_whether_a_stream_is_asked_for_stands_in_the_query(stage: KeptStage) -> None:
    await make(stage, "resp_1")
    call = fetching("resp_1")
    call.query = b"stream=true&starting_after=3"

    await stage.plan(call, among(A))

    assert call.peek is not None
    assert call.peek.stream


async def test_a_call_goes_on_without_the_hub_and_says_so(stage: KeptStage, server: LinkServer) -> None:
    await server.close()

    call = await make(stage, "resp_1")

    assert call.client.extra == [NOT_KEPT]


async def test_without_the_hub_nobody_knows_where_a_response_is(stage: KeptStage, server: LinkServer) -> None:
    await make(stage, "resp_1")
    await server.close()

    for call in (fetching("resp_1"), asking(previous_response_id="resp_1")):
        with pytest.raises(Unavailable) as away:
            await stage.plan(call, among(A))
        assert away.value.retry_after_s == 1


async def test_nothing_is_sent_for_a_client_that_left_meanwhile(stage: KeptStage) -> None:
    await make(stage, "resp_1")
    call = fetching("resp_1")
    call.client.gone = True

    with pytest.raises(BadRequest, match="left"):
        await stage.plan(call, among(A))
