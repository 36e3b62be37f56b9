"""The stage for what providers keep for all, against a real line to a store of owners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest, Forbidden, GatewayError, Unavailable, UnknownResponse
from gateway.exchange import Exchange
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.principal import SCOPES
from gateway.processes.doors import bind_unix
from gateway.processes.owned_store import OwnedStore
from gateway.providers.base import Provider
from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAICompatible
from gateway.routing.deployments import Deployment, Plan
from gateway.settings import Timeouts
from gateway.stages.owned import MOST_NAMED, NOT_KEPT, PART_BYTES, OwnedStage
from gateway.upload import Upload
from gateway.wire.batch_output import BatchObject
from gateway.wire.openai_responses import OpenAIResponses
from gateway.wire.passthrough import wire_of
from gateway.wire.passthrough_paths import find
from tests.fakes.exchanges import caller, chat, exchange

FILE = b'{"id":"file-1","object":"file"}'


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LinkServer]:
    store = OwnedStore(tmp_path / "owned.sqlite")
    made = LinkServer(store.handlers)
    await made.listen(bind_unix(tmp_path / "link.sock"))
    yield made
    await made.close()
    await store.close()


@pytest.fixture
async def stage(tmp_path: Path, server: LinkServer) -> AsyncIterator[OwnedStage]:
    client = LinkClient(str(tmp_path / "link.sock"))
    client.start()
    assert await client.wait_connected(5)
    yield OwnedStage(client)
    await client.close()


OPENAI = OpenAICompatible("openai", "http://openai.example/v1")
GEMINI = Gemini("gemini", "http://gemini.example")


def plan(*, borrowed: bool = False, provider: Provider = OPENAI) -> Plan:
    way = Deployment(id="openai", provider=provider, model="", secret="k", borrowed=borrowed)
    return Plan(deployments=(way,), timeouts=Timeouts())


async def admitted(
    stage: OwnedStage, method: str, path: str, body: Any = None, *, borrowed: bool = False, **who: Any
) -> Exchange:
    place = find(method, path, anthropic=False, gemini=False)
    assert place is not None
    call = exchange(b"{}", wire=wire_of(place), **who)
    call.place, call.body = place, msgspec.json.encode(body) if body is not None else b""
    await stage.admit(call, plan(borrowed=borrowed))
    return call


async def asked(stage: OwnedStage, body: dict[str, Any], *, borrowed: bool = False, **who: Any) -> None:
    """Let a model's answer be asked for."""
    await stage.admit(exchange(chat(**body), **who), plan(borrowed=borrowed))


async def seen(call: Exchange, answer: bytes) -> bytes:
    """What the client is sent of an answer."""
    return answer if call.screen is None else await call.screen(False).feed(answer, last=True)


async def make(stage: OwnedStage, name: str, **who: Any) -> None:
    call = await admitted(stage, "POST", "/v1/files", {}, **who)
    answer = b'{"id":"%b"}' % name.encode()
    assert await seen(call, answer) == answer


async def test_a_things_maker_and_its_owner_see_it_and_others_do_not(stage: OwnedStage) -> None:
    await make(stage, "file-1", project="p")

    theirs: list[dict[str, Any]] = [{"project": "p"}, {"project": "q", "scopes": SCOPES}]
    for who in theirs:
        await admitted(stage, "GET", "/v1/files/file-1", **who)
    admin: dict[str, Any] = {"environment": "test", "scopes": ("call", "admin")}
    await admitted(stage, "GET", "/v1/files/file-1", project="p", **admin)
    for who in ({"project": "q"}, {"environment": "test"}, {"project": "q", **admin}):
        with pytest.raises(UnknownResponse, match="No such object: file-1"):
            await admitted(stage, "GET", "/v1/files/file-1", **who)
        with pytest.raises(UnknownResponse):
            await admitted(stage, "POST", "/v1/batches", {"input_file_id": "file-1"}, **who)


async def test_what_nobody_is_known_to_own_is_the_owners_only(stage: OwnedStage) -> None:
    with pytest.raises(UnknownResponse):
        await admitted(stage, "GET", "/v1/files/stray")
    await admitted(stage, "GET", "/v1/files/stray", scopes=SCOPES)
    await admitted(stage, "GET", "/v1beta/files/stray")  # uploaded to Google itself
    await admitted(stage, "POST", "/v1/batches", {"input_file_id": "file-stray"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/organization/users"),
        ("DELETE", "/v1/models/ft:gpt-4o:acme"),
        ("GET", "/v1/fine_tuning/checkpoints/ft:x/permissions"),
        ("POST", "/v1/realtime/calls/rtc_1/hangup"),
    ],
)
async def test_what_is_the_whole_accounts_is_the_owners_only(
    stage: OwnedStage, method: str, path: str
) -> None:
    with pytest.raises(Forbidden) as caught:
        await admitted(stage, method, path, scopes=("call", "admin"))
    assert caught.value.code == "scope_missing"
    await admitted(stage, method, path, scopes=SCOPES)
    await admitted(stage, method, path, borrowed=True)


async def test_a_key_for_some_users_sees_nothing_of_what_a_whole_project_has(stage: OwnedStage) -> None:
    await make(stage, "file-1")
    few: dict[str, Any] = {"users": ("ada",), "user": "ada"}

    for method, path in (("GET", "/v1/files/file-1"), ("GET", "/v1/files"), ("POST", "/v1/files")):
        with pytest.raises(Forbidden) as caught:
            await admitted(stage, method, path, **few)
        assert caught.value.code == "user_not_allowed"
    with pytest.raises(Forbidden):
        await asked(stage, {"file_id": "file-1"}, **few)
    await admitted(stage, "POST", "/v1/images/generations", {"prompt": "a fox"}, **few)
    await admitted(stage, "GET", "/v1/files/file-1", borrowed=True, **few)


@pytest.mark.parametrize(
    "body",
    [
        {"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]},
        {"system": [{"type": "document", "source": {"type": "file", "file_id": "file-1"}}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_mine", "file-1"]}]},
        {"conversation": {"id": "file-1"}},
        {"container": "file-1"},
    ],
)
async def test_a_model_reads_only_what_is_the_senders(stage: OwnedStage, body: dict[str, Any]) -> None:
    await make(stage, "file-1")

    await asked(stage, body)
    await asked(stage, body, project="q", scopes=SCOPES)
    await asked(stage, body, project="q", borrowed=True)
    with pytest.raises(UnknownResponse, match="No such object: file-1"):
        await asked(stage, body, project="q")


async def test_a_fallback_reads_no_more_than_the_first_choice(stage: OwnedStage) -> None:
    await make(stage, "file-1")
    ours = plan().deployments
    theirs = plan(borrowed=True).deployments

    with pytest.raises(UnknownResponse):
        await stage.admit(
            exchange(chat(file_id="file-1"), project="q"),
            msgspec.structs.replace(plan(), deployments=theirs, fallbacks=ours),
        )


async def test_an_id_in_a_large_body_is_seen_wherever_it_stands(stage: OwnedStage) -> None:
    await make(stage, "file-1")
    for before in range(PART_BYTES - 60, PART_BYTES, 3):
        body = rb'{"x":"%b","file\u005fid":"file\u002d1","messages":[],"model":"m","y":"%b"}'
        call = exchange(body % (b"x" * before, b"y" * PART_BYTES), project="q")

        assert stage.concerns(call)
        with pytest.raises(UnknownResponse):
            await stage.admit(call, plan())
    only_said = exchange(
        b'{"model":"m","messages":[],"x":"%b","y":"file-1"}' % (b"x" * 3 * PART_BYTES), project="q"
    )
    await stage.admit(only_said, plan())  # no key that names things: it is not even looked up


async def test_every_id_of_a_body_is_looked_up_or_it_is_refused(stage: OwnedStage) -> None:
    await make(stage, "file-B")
    names = [f"file-{index}" for index in range(MOST_NAMED)]

    with pytest.raises(BadRequest) as caught:
        await admitted(stage, "POST", "/v1/batches", {"metadata": names, "input": "file-B"}, project="q")
    assert caught.value.code == "too_many_ids"
    with pytest.raises(BadRequest):
        await asked(
            stage, {"file_ids": [f"file-{index:0100}" for index in range(MOST_NAMED + 1)]}, project="q"
        )
    with pytest.raises(UnknownResponse):
        await admitted(stage, "POST", "/v1/batches", {"metadata": names[1:], "input": "file-B"}, project="q")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({b"content-type": b"multipart/form-data; boundary=b"}, True),
        ({b"content-type": b"text/plain"}, False),
        ({b"content-type": b"application/json", b"content-encoding": b"gzip"}, False),
    ],
)
async def test_json_that_is_not_read_names_nothing(
    stage: OwnedStage,
    headers: dict[bytes, bytes],
    passes: bool,  # noqa: FBT001
) -> None:
    call = exchange(headers=headers)
    call.place, call.body = find("POST", "/v1/batches", anthropic=False, gemini=False), b""
    call.upload = Upload(call.client, {**headers, b"content-length": b"9"}, silence_s=1)
    refused: type[GatewayError] | None = None
    try:
        await stage.admit(call, plan())
    except BadRequest as error:
        refused = type(error)
    assert (refused is None) is passes


async def test_a_list_shows_whats_theirs_with_its_bytes(stage: OwnedStage) -> None:
    await make(stage, "mine")
    await make(stage, "theirs", project="q")
    listed = b'{"object":"list","data":[{"id": "mine", "n": 1.0},{"id":"theirs"},{"id":"stray"},{}]}'

    narrow = await admitted(stage, "GET", "/v1/files")
    whole = await admitted(stage, "GET", "/v1/files", scopes=SCOPES)

    assert await seen(narrow, listed) == b'{"object":"list","data":[{"id": "mine", "n": 1.0}]}'
    assert await seen(whole, listed) == listed
    assert await seen(narrow, b'{ "data": [{"id":"mine"}] }') == b'{ "data": [{"id":"mine"}] }'
    assert await seen(narrow, b"no list") == b"no list"


async def test_what_is_deleted_is_nobodys(stage: OwnedStage) -> None:
    await make(stage, "file-1")
    await seen(await admitted(stage, "DELETE", "/v1/files/file-1"), b'{"id":"file-1","deleted":true}')

    with pytest.raises(UnknownResponse):
        await admitted(stage, "GET", "/v1/files/file-1")


async def of_gemini(stage: OwnedStage, path: str, body: Any = None, **who: Any) -> Exchange:
    place = find("POST" if body is not None else "GET", f"/v1beta/{path}", anthropic=False, gemini=True)
    assert place is not None
    call = exchange(b"{}", wire=wire_of(place), **who)
    call.place, call.body = place, msgspec.json.encode(body) if body is not None else b""
    await stage.admit(call, plan(provider=GEMINI))
    return call


FILE_URI = "https://generativelanguage.googleapis.com/v1beta/files/"


async def test_gemini_reads_only_what_is_the_senders_or_was_uploaded_straight_to_google(
    stage: OwnedStage,
) -> None:
    for path, name in (("cachedContents", "cachedContents/c1"), ("files", "files/f1")):
        made = await of_gemini(stage, path, {})
        await seen(made, msgspec.json.encode({"name": name}))
    named: list[dict[str, Any]] = [
        {"cachedContent": "cachedContents/c1"},
        {"contents": [{"parts": [{"fileData": {"fileUri": f"{FILE_URI}f1"}}]}]},
    ]

    for body in (*named, {"contents": [{"parts": [{"fileData": {"fileUri": f"{FILE_URI}stray"}}]}]}):
        call = exchange(chat(**body), project="q" if "stray" in str(body) else "p")
        assert stage.concerns(call)
        await stage.admit(call, plan(provider=GEMINI))
    for body in named:
        for call in (exchange(chat(**body), project="q"), exchange(chat(**body), environment="test")):
            with pytest.raises(UnknownResponse):
                await stage.admit(call, plan(provider=GEMINI))
        with pytest.raises(UnknownResponse):
            await of_gemini(stage, "models/m:batchGenerateContent", body, project="q")


async def test_a_gemini_batch_that_holds_its_answers_is_counted_once(stage: OwnedStage) -> None:
    made = await of_gemini(stage, "models/m:batchGenerateContent", {})
    await seen(made, b'{"name":"batches/b1"}')

    counted = []
    for _ in range(2):
        call = await of_gemini(stage, "batches/b1")
        assert isinstance(call.counting, BatchObject)
        assert call.on_id is not None
        await call.on_id(call, "batches/b1")
        counted.append(call.counting.counted)
    assert counted == [True, False]
    with pytest.raises(UnknownResponse):
        await of_gemini(stage, "batches/b1", project="q")


async def test_the_file_of_a_gemini_batch_is_counted_as_well(stage: OwnedStage) -> None:
    made = await of_gemini(stage, "models/m:batchGenerateContent", {})
    await seen(made, b'{"name":"batches/b1"}')
    asked = await of_gemini(stage, "batches/b1")
    await seen(asked, b'{"name":"batches/b1","response":{"responsesFile":"files/batch-b1"}}')

    assert (await of_gemini(stage, "files/batch-b1:download")).counting is not None
    with pytest.raises(UnknownResponse):
        await of_gemini(stage, "files/batch-b1:download", project="q")


async def test_containers_of_an_answer_are_the_callers_but_for_those_the_request_names(
    stage: OwnedStage,
) -> None:
    asked = {"model": "m", "input": "x", "tools": [{"container": "cntr_stray"}]}
    call = exchange(msgspec.json.encode(asked), wire=OpenAIResponses())
    await stage.admit(call, plan())
    call.deployment = "openai/m"
    assert call.screen is not None
    screen = call.screen(True)
    events = [
        b'data: {"delta":"\\"container_id\\":\\"cntr_said\\""}\n\n',
        b'data: {"item":{"container_id":"cntr_mine"}}\n\ndata: {"item":{"container_id":"cntr_stray"}}\n\n',
    ]
    for event in events:
        assert await screen.feed(event, last=False) == event

    await admitted(stage, "GET", "/v1/containers/cntr_mine/files/f/content")
    others: list[tuple[str, dict[str, Any]]] = [("mine", {"project": "q"}), ("stray", {}), ("said", {})]
    for name, who in others:
        with pytest.raises(UnknownResponse):
            await admitted(stage, "GET", f"/v1/containers/cntr_{name}", **who)


async def test_an_answer_that_can_tell_of_no_container_is_not_looked_through(stage: OwnedStage) -> None:
    for body, looks in ((b'{"model":"m","input":"how to stop a container"}', False), (b"", True)):
        call = exchange(b'{"model":"m","input":"x"}', wire=OpenAIResponses())
        call.body = body
        assert stage.concerns(call)
        await stage.admit(call, plan())
        assert (call.screen is not None) is looks


async def test_a_container_stays_its_first_owners(stage: OwnedStage) -> None:
    for project in ("p", "q"):
        body = msgspec.json.encode({"model": "m", "input": "x", "tools": [{"container": {"type": "auto"}}]})
        call = exchange(body, wire=OpenAIResponses(), project=project)
        await stage.admit(call, plan())
        call.deployment = "openai/m"
        answer = b'{"output":[{"container_id":"cntr_1"}]}'
        assert await seen(call, answer) == answer
    await admitted(stage, "GET", "/v1/containers/cntr_1", project="p")
    with pytest.raises(UnknownResponse):
        await admitted(stage, "GET", "/v1/containers/cntr_1", project="q")


async def test_a_clients_own_key_is_left_alone(stage: OwnedStage) -> None:
    call = await admitted(stage, "GET", "/v1/files/whatever", borrowed=True)

    assert call.screen is None


async def test_a_batchs_output_is_its_makers_whoever_asks_and_is_counted(stage: OwnedStage) -> None:
    made = await admitted(stage, "POST", "/v1/batches", {"input_file_id": "f"}, project="q")
    await seen(made, b'{"id":"batch_1"}')
    boss = await admitted(stage, "GET", "/v1/batches/batch_1", scopes=SCOPES)
    await seen(boss, b'{"id":"batch_1","output_file_id":"file-out"}')

    with pytest.raises(UnknownResponse):
        await admitted(stage, "GET", "/v1/files/file-out/content")
    counted = []
    for _ in range(2):
        call = await admitted(stage, "GET", "/v1/files/file-out/content", project="q")
        assert call.counting is not None
        assert call.on_id is not None
        await call.on_id(call, "batch_1")
        counted.append(call.counting.counted)
    assert counted == [True, False]
    part = await admitted(
        stage, "GET", "/v1/files/file-out/content", project="q", headers={b"range": b"bytes=0-1"}
    )
    assert part.counting is None


async def test_events_of_a_stream_pass(stage: OwnedStage) -> None:
    call = await admitted(stage, "POST", "/v1/threads/runs", {"stream": True})
    assert call.screen is not None
    screen = call.screen(True)

    assert screen.clear
    assert await screen.feed(b"data: {}\n\n", last=False) == b"data: {}\n\n"
    assert await screen.feed(b"", last=True) == b""


async def test_without_the_hub_nothing_is_given_away_and_what_is_made_is_marked(
    stage: OwnedStage, server: LinkServer
) -> None:
    making = await admitted(stage, "POST", "/v1/files", {})
    await server.close()

    for what in (admitted(stage, "GET", "/v1/files/file-1"), asked(stage, {"file_id": "file-1"})):
        with pytest.raises(Unavailable) as caught:
            await what
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
    assert not stage.concerns(exchange(chat("a file-1")))
    assert await seen(making, FILE) == FILE
    assert NOT_KEPT in caller(making).extra
