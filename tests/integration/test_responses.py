"""Responses through a whole house: OpenAI's own client on one side, providers that keep responses on the other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai
import pytest

from tests.fakes.provider import Provider, Received, Script, Scripts, refusal, sse
from tests.fakes.responses import USAGE, Keeper, event, message, stream
from tests.fakes.tidegate import Tidegate, eventually

TEA, COFFEE = "tg-of-the-tea-people", "tg-of-the-coffee-people"
KEYS = [
    {"name": name, "hash": hashlib.sha256(key.encode()).hexdigest(), "project": name}
    for name, key in (("tea", TEA), ("coffee", COFFEE))
]


class Place:
    """A house, and the providers behind it by name."""

    def __init__(self, house: Tidegate, providers: dict[str, Provider]) -> None:
        self.house = house
        self.providers = providers

    def client(self, key: str = TEA, **more: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.house.url}/v1", api_key=key, max_retries=0, timeout=30, **more)

    def asked(self, provider: str) -> list[tuple[str, str]]:
        """What a provider was asked, models aside."""
        heard = self.providers[provider].requests
        return [(r.method, r.path) for r in heard if not r.path.endswith("/models")]


@contextmanager
def place(folder: Path, scripts: dict[str, Scripts], **config: Any) -> Iterator[Place]:
    with ExitStack() as stack:
        providers = {
            name: stack.enter_context(Provider(script).in_thread()) for name, script in scripts.items()
        }
        settings = {
            name: {"base_url": f"{provider.base_url}/v1", "api_key": f"sk-{name}"}
            for name, provider in providers.items()
        }
        once = {"attempts": 1}  # a refusal is looked at by itself
        house = Tidegate(folder, {"providers": settings, "keys": KEYS, "retries": once, **config})
        yield Place(stack.enter_context(house), providers)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two workers, two projects, two providers that keep responses."""
    scripts: dict[str, Scripts] = {"one": Keeper("one"), "two": Keeper("two"), "sick": refusal(500, "Oh.")}
    routes = {
        "either": {"deployments": [{"model": "two/m"}, {"model": "one/m"}]},
        "sickly": {"deployments": [{"model": "sick/m"}, {"model": "one/m"}]},
    }
    with place(tmp_path_factory.mktemp("two"), scripts, server={"workers": 2}, routes=routes) as made:
        yield made


def headers_of(request: Received) -> str:
    return request.headers["authorization"]


def test_a_response_lives_and_dies_with_the_provider_that_made_it(two: Place) -> None:
    with two.client() as client:
        made = client.responses.create(model="two/gpt-x", input="hello")
        before = len(two.asked("one"))

        assert made.output_text == "Hello tide"
        for _ in range(4):  # whichever worker answers
            assert client.responses.retrieve(made.id, include=["reasoning.encrypted_content"]) == made
        assert [item.id for item in client.responses.input_items.list(made.id, limit=2)] == ["msg_0"]
        assert client.responses.cancel(made.id).status == "cancelled"
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError, match="not found"):
            client.responses.retrieve(made.id)

    assert (
        two.asked("two")[-7:]
        == [
            ("POST", "/v1/responses"),
            *[("GET", f"/v1/responses/{made.id}?include%5B%5D=reasoning.encrypted_content")] * 4,
            ("GET", f"/v1/responses/{made.id}/input_items?limit=2"),
            ("POST", f"/v1/responses/{made.id}/cancel"),
            ("DELETE", f"/v1/responses/{made.id}"),
        ][-7:]
    )
    assert {headers_of(request) for request in two.providers["two"].requests} == {"Bearer sk-two"}
    assert len(two.asked("one")) == before


def test_a_stream_is_found_again_by_the_id_in_its_first_event(two: Place) -> None:
    with two.client() as client, client.responses.create(model="one/m", input="hello", stream=True) as events:
        first = next(events)
        assert first.type == "response.created"
        assert client.responses.retrieve(first.response.id).id == first.response.id
        kinds = [e.type for e in events]
        rest = list(client.responses.retrieve(first.response.id, stream=True, starting_after=4))

    assert kinds[-1] == "response.completed"
    assert [e.sequence_number for e in rest] == [5, 6]


def test_the_helper_of_the_client_puts_a_stream_together(two: Place) -> None:
    with two.client() as client, client.responses.stream(model="one/m", input="hello") as events:
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        final = events.get_final_response()

    assert (text, final.output_text) == ("Hello tide", "Hello tide")
    assert final.usage is not None
    assert final.usage.total_tokens == USAGE["total_tokens"]


def test_a_conversation_goes_on_where_it_began_whatever_the_route_would_say(two: Place) -> None:
    with two.client() as client:
        first = client.responses.create(model="one/m", input="hello")
        second = client.responses.create(model="either", input="more", previous_response_id=first.id)

    assert second.id.startswith("resp_one_")
    assert two.providers["one"].requests[-1].json()["model"] == "m"


def test_a_response_that_was_made_elsewhere_is_kept_elsewhere(two: Place) -> None:
    with two.client() as client:
        made = client.responses.create(model="sickly", input="hello")
        assert client.responses.retrieve(made.id) == made

    assert two.asked("one")[-1] == ("GET", f"/v1/responses/{made.id}")


def test_an_id_of_another_project_is_of_nobody(two: Place) -> None:
    with two.client() as tea, two.client(COFFEE) as coffee:
        made = tea.responses.create(model="one/m", input="hello")
        before = len(two.asked("one"))

        with pytest.raises(openai.NotFoundError) as unknown:
            coffee.responses.retrieve(made.id)
        for act in (coffee.responses.delete, coffee.responses.cancel, coffee.responses.input_items.list):
            with pytest.raises(openai.NotFoundError):
                act(made.id)
        with pytest.raises(openai.BadRequestError) as refused:
            coffee.responses.create(model="one/m", input="more", previous_response_id=made.id)

    assert unknown.value.message.endswith(
        f"{{'message': \"Response with id '{made.id}' not found.\", "
        "'type': 'invalid_request_error', 'param': None, 'code': None}}"
    )
    assert refused.value.code == "previous_response_not_found"
    assert len(two.asked("one")) == before


def test_a_response_that_is_not_kept_leaves_no_trace(two: Place) -> None:
    with two.client() as client:
        made = client.responses.create(model="one/m", input="hello", store=False)

        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)


def test_calls_are_recorded_and_their_usage_is_counted_once(two: Place) -> None:
    said = {"x-tidegate-event-id": "once", "x-tidegate-user-id": "ada"}
    with two.client(default_headers=said) as client:
        made = client.responses.create(model="one/m", input="how high is the tide")
        client.responses.retrieve(made.id)
        waiting = client.responses.create(model="one/m", input="later", background=True)
        for _ in range(2):
            client.responses.retrieve(waiting.id)
        client.responses.input_items.list(made.id)

    calls = two.house.await_calls(6, {"authorization": f"Bearer {TEA}"}, event_id="once")[::-1]
    told = [(c["operation"], c["usage_source"], c["input_tokens"], c["output_tokens"]) for c in calls]
    assert sorted(told) == [
        ("chat", "none", 0, 0),
        ("chat", "provider", 20, 6),
        ("responses.input_items", "none", 0, 0),
        ("responses.retrieve", "none", 0, 0),
        ("responses.retrieve", "none", 0, 0),
        ("responses.retrieve", "provider", 20, 6),
    ]
    first = next(c for c in calls if c["usage_source"] == "provider" and c["operation"] == "chat")
    assert (first["surface"], first["response_id"]) == ("openai.responses", made.id)
    assert first["finish_reason"] == "completed"
    queued = next(c for c in calls if c["operation"] == "chat" and c["usage_source"] == "none")
    assert (queued["finish_reason"], queued["cost_nano_usd"], queued["cost_reason"]) == (
        "queued",
        None,
        "no_usage",
    )
    free = [c for c in calls if c["operation"].startswith("responses.") and c["usage_source"] == "none"]
    assert {c["cost_nano_usd"] for c in free} == {0}


ODD = b'{ "id" : "resp_9",\r\n "status":"completed", "new": [1.0, 1e3], "usage": null }'
BIG = {"id": "resp_big", "status": "completed", "output": [message("x" * (3 << 20))], "usage": USAGE}


def acting(request: Received) -> Script:
    """Answer as the path or the input says."""
    asked = request.json() if request.body else {}
    if request.path.endswith("/completions"):
        return completing(asked)
    if request.method == "GET":
        found = {"resp_9": "odd", "resp_big": "big"}.get(request.path.rpartition("/")[2], "plain")
        return responding(found)
    return responding(asked["input"])


def responding(how: object) -> Script:
    """Make a response, or fail to."""
    whole = {"id": "resp_f", "status": "completed", "model": "m", "output": [message("Hi")], "usage": USAGE}
    events = stream(whole)
    error = {"code": "server_error", "message": "It broke."}
    failed = {**whole, "status": "failed", "error": error}
    scripts = {
        "429": refusal(429, "Slow down.", code="rate_limit_exceeded", headers=(("retry-after", "7"),)),
        "500": refusal(500, "Oh.", kind="server_error"),
        "400": refusal(400, "Bad tool.", code="invalid_tool"),
        "error event": sse([*events[:3], event("error", 3, param=None, **error)]),
        "failed": sse([*events[:3], event("response.failed", 3, response=failed)]),
        "ends early": sse(events[:4]),
        "breaks": msgspec.structs.replace(sse(events), cut_at=sum(map(len, events[:5])) + 70),
        "plain": Script(body=msgspec.json.encode(whole)),
        "odd": Script(body=ODD),
        "odd gzip": Script(body=ODD, gzip=True),
        "big": Script(body=msgspec.json.encode(BIG)),
        "byte by byte": msgspec.structs.replace(sse(events), dribble=1),
    }
    return scripts[str(how)]


def completing(asked: dict[str, Any]) -> Script:
    """Complete a legacy prompt."""
    frame = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}
    if not asked.get("stream"):
        whole = {**frame, "choices": [{**last, "text": " upon a time"}], "usage": usage}
        return Script(body=msgspec.json.encode(whole))
    chunks: list[dict[str, Any]] = [
        {"choices": [{**last, "text": text, "finish_reason": None}]} for text in (" upon", " a", " time")
    ]
    chunks += [{"choices": [last]}]
    if asked.get("stream_options", {}).get("include_usage"):
        chunks += [{"choices": [], "usage": usage}]
    events = [b"data: " + msgspec.json.encode(frame | chunk) + b"\n\n" for chunk in chunks]
    return sse([*events, b"data: [DONE]\n\n"])


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("acted"), {"one": acting}) as made:
        yield made


@pytest.mark.parametrize("how", ["odd", "odd gzip"])
def test_bytes_are_the_providers_but_for_the_models_name(acted: Place, how: str) -> None:
    asked = b'{ "model":"one/m", "input":"%b", "stream_options": {"include_obfuscation": false}, "x":1.0, "h":"\\u00e9" }'
    headers = {"authorization": f"Bearer {TEA}", "accept-encoding": "gzip"}
    with httpx.Client(base_url=acted.house.url, headers=headers, timeout=30) as client:
        answer = client.post("/api/responses", content=asked % how.encode())
        again = client.get("/responses/resp_9")
        sent = next(r for r in reversed(acted.providers["one"].requests) if r.method == "POST")

    assert answer.content == again.content == ODD
    assert msgspec.json.decode(sent.body) == {**msgspec.json.decode(asked % how.encode()), "model": "m"}
    for kept in (b'"\\u00e9"', b'{"include_obfuscation": false}', b"1.0"):
        assert kept in sent.body


def test_a_document_of_megabytes_is_found_again(acted: Place) -> None:
    with acted.client() as client:
        first = client.responses.create(model="one/m", input="big")
        assert client.responses.retrieve(first.id).output_text == first.output_text


def test_legacy_completions_pass(acted: Place) -> None:
    with acted.client(default_headers={"x-tidegate-event-id": "legacy"}) as client:
        create = client.completions.create
        whole = create(model="one/m", prompt="Once")
        plain = list(create(model="one/m", prompt="Once", stream=True))
        told = list(create(model="one/m", prompt="Once", stream=True, stream_options={"include_usage": True}))

    assert whole.choices[0].text == " upon a time"
    assert "".join(chunk.choices[0].text for chunk in plain) == " upon a time"
    assert (told[-1].choices, told[-1].usage and told[-1].usage.total_tokens) == ([], 5)
    for call in acted.house.await_calls(3, {"authorization": f"Bearer {TEA}"}, event_id="legacy"):
        assert (call["surface"], call["operation"]) == ("openai.completions", "text_completion")
        assert (call["input_tokens"], call["output_tokens"], call["usage_source"]) == (3, 2, "provider")
        assert call["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("how", "raised"),
    [("429", openai.RateLimitError), ("500", openai.InternalServerError), ("400", openai.BadRequestError)],
)
def test_a_refusal_is_the_providers(acted: Place, how: str, raised: type[openai.APIStatusError]) -> None:
    with acted.client() as client, pytest.raises(raised) as refused:
        client.responses.create(model="one/m", input=how)

    assert refused.value.status_code == int(how)
    if how == "429":
        assert refused.value.response.headers["retry-after"] == "7"
        assert refused.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize("how", ["ends early", "breaks"])
def test_a_stream_that_is_cut_raises_in_the_client(acted: Place, how: str) -> None:
    with acted.client(default_headers={"x-tidegate-event-id": how}) as client:
        seen: list[str] = []
        with pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
            seen.extend(e.type for e in client.responses.create(model="one/m", input=how, stream=True))

    assert "response.completed" not in seen
    call = acted.house.await_calls(1, {"authorization": f"Bearer {TEA}"}, event_id=how)[0]
    assert (call["status"], call["usage_source"]) == ("error", "estimated")


@pytest.mark.parametrize(("how", "last"), [("error event", "error"), ("failed", "response.failed")])
def test_a_failure_in_a_stream_is_passed_on_and_recorded(acted: Place, how: str, last: str) -> None:
    with acted.client(default_headers={"x-tidegate-event-id": how}) as client:
        seen = [e.type for e in client.responses.create(model="one/m", input=how, stream=True)]

    assert seen[-1] == last
    call = acted.house.await_calls(1, {"authorization": f"Bearer {TEA}"}, event_id=how)[0]
    assert (call["status"], call["error_message"]) == ("error", "It broke.")


def test_a_stream_in_single_bytes_is_the_same_stream(acted: Place) -> None:
    with acted.client() as client:
        events = list(client.responses.create(model="one/m", input="byte by byte", stream=True))
        assert client.responses.retrieve("resp_f").id == "resp_f"

    assert events[-1].type == "response.completed"


def test_without_its_hub_a_house_answers_but_cannot_look_up(tmp_path: Path) -> None:
    with place(tmp_path, {"one": Keeper("one")}) as made, made.client() as client:
        kept = client.responses.create(model="one/m", input="hello")
        made.house.kill("hub")
        answers = []
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            raw = client.responses.with_raw_response.create(model="one/m", input="hello")
            answers.append(raw.headers.get("x-tidegate-warning"))
            if answers[-1] is None and len(answers) > 1:
                break
        found = eventually(lambda: _found(client, kept.id), what="the new hub to know the old id")

    assert set(answers) <= {None, "response_not_kept"}
    assert found == kept.id


def _found(client: openai.OpenAI, response_id: str) -> str:
    try:
        return client.responses.retrieve(response_id).id
    except openai.InternalServerError as error:
        away = error.response
    assert away.status_code == 503
    assert away.headers["retry-after"]
    return ""


def test_in_open_mode_the_clients_own_key_goes_with_its_response(tmp_path: Path) -> None:
    keeper = Keeper("one")
    with Provider(keeper).in_thread() as provider:
        variables = {"TIDEGATE_OPENAI_BASE_URL": f"{provider.base_url}/v1"}
        with Tidegate(tmp_path, env=variables) as house:
            client = openai.OpenAI(base_url=house.url, api_key="sk-mine", max_retries=0)
            made = client.responses.create(model="gpt-x", input="hello")
            assert client.responses.retrieve(made.id) == made
            elsewhere = client.with_options(default_headers={"x-tidegate-environment": "staging"})
            with pytest.raises(openai.NotFoundError):
                elsewhere.responses.retrieve(made.id)
            client.close()

    asked = [request for request in provider.requests if "responses" in request.path]
    assert {headers_of(request) for request in asked} == {"Bearer sk-mine"}
    assert list(keeper.kept) == [("sk-mine", made.id)]
