"""Everything of the providers' APIs that is only passed on, through a whole house, asked by the official clients."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.fakes import passthrough as fake
from tests.fakes.provider import Provider
from tests.fakes.tidegate import Reply, Tidegate, eventually

OURS = "tg-a-key-of-this-gateway"
KEYS = {"openai": "sk-of-the-house", "anthropic": "sk-ant-of-the-house", "gemini": "AIza-of-the-house"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(fake.provider).in_thread() as provider:
        yield provider


@pytest.fixture(scope="module")
def gate(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A house with keys of its own and for each provider."""
    url = upstream.base_url
    config = {
        "providers": {
            "openai": {"base_url": f"{url}/v1", "api_key": KEYS["openai"]},
            "anthropic": {"base_url": url, "api_key": KEYS["anthropic"]},
            "gemini": {"base_url": url, "api_key": KEYS["gemini"]},
            "ranker": {"base_url": f"{url}/v1", "api_key": "rk"},
        },
        "keys": [
            {
                "name": "app",
                "hash": hashlib.sha256(OURS.encode()).hexdigest(),
                "scopes": ["call", "read", "owner"],
            }
        ],
        "routes": {"painter": {"deployments": [{"model": "openai/gpt-image-1"}]}},
    }
    with Tidegate(tmp_path_factory.mktemp("passing"), config) as house:
        eventually(lambda: _paid(house), what="the price table")
        yield house


@pytest.fixture(scope="module")
def open_gate(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A house in open mode without a key for anybody."""
    bare = {"base_url": f"{upstream.base_url}/v1", "api_key_env": "NOBODY_SET_THIS"}
    config = {"providers": {"openai": bare, "foreign": {**bare, "api_key_env": "FOREIGN_KEY"}}}
    with Tidegate(tmp_path_factory.mktemp("open"), config) as house:
        yield house


@pytest.fixture
def client(gate: Tidegate) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gate.url}/v1", api_key=OURS, max_retries=0) as made:
        yield made


@pytest.fixture
def claude(gate: Tidegate) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gate.url, api_key=OURS, max_retries=0) as made:
        yield made


@pytest.fixture
def event() -> dict[str, str]:
    return {"x-tidegate-event-id": str(uuid.uuid4())}


def ask(
    gate: Tidegate, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> Reply:
    return gate.request(method, path, body, {"authorization": f"Bearer {OURS}", **(headers or {})})


def row(gate: Tidegate, event: dict[str, str], key: str = OURS) -> dict[str, Any]:
    return gate.await_calls(1, {"authorization": f"Bearer {key}"}, event_id=event["x-tidegate-event-id"])[0]


def _paid(house: Tidegate) -> bool:
    event = {"x-tidegate-event-id": str(uuid.uuid4())}
    ask(house, "POST", "/v1/images/generations", {"model": "gpt-image-1", "prompt": "tide"}, event)
    return bool(row(house, event)["cost_nano_usd"])


def test_a_picture_is_made_recorded_and_priced(
    gate: Tidegate, upstream: Provider, client: openai.OpenAI, event: dict[str, str]
) -> None:
    made = client.images.generate(
        model="openai/gpt-image-1", prompt="high tide", n=1, user="ann", extra_headers=event
    )

    assert made.data
    assert made.data[0].b64_json == "aGk="
    sent = upstream.requests[-1]
    assert sent.json() == {"model": "gpt-image-1", "prompt": "high tide", "n": 1, "user": "ann"}
    assert (sent.path, sent.headers["authorization"]) == (
        "/v1/images/generations",
        f"Bearer {KEYS['openai']}",
    )
    assert not any(name.startswith("x-tidegate") for name in sent.headers)
    call = row(gate, event)
    assert (call["surface"], call["operation"]) == ("openai.passthrough", "images.generations")
    assert (call["provider"], call["model"], call["user_id"]) == ("openai", "openai/gpt-image-1", "ann")
    assert (call["status"], call["http_status"], call["usage_source"]) == ("ok", 200, "provider")
    assert (call["input_tokens"], call["output_tokens"]) == (50, 1056)
    assert call["parameters"] == {"n": 1, "method": "POST", "path": "/images/generations"}
    assert call["attempts"][0]["request_id"] == "req_1"
    # dollars per million: 5 for text and 10 for pictures read, 40 for pictures made
    assert call["cost_lines"] == {
        "input_uncached": 10 * 5000,
        "input_image": 40 * 10000,
        "output_image": 1056 * 40000,
    }


def test_a_route_and_a_stream_of_pictures(
    gate: Tidegate, upstream: Provider, client: openai.OpenAI, event: dict[str, str]
) -> None:
    events = list(client.images.generate(model="painter", prompt="tide", stream=True, extra_headers=event))

    assert [one.type for one in events] == ["image_generation.completed"]
    assert upstream.requests[-1].json()["model"] == "gpt-image-1"
    call = row(gate, event)
    assert (call["route"], call["stream"], call["output_tokens"]) == ("painter", True, 1056)


def test_speech_comes_as_it_is_and_is_not_kept(
    gate: Tidegate, client: openai.OpenAI, event: dict[str, str]
) -> None:
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="high tide", extra_headers=event)

    assert spoken.content == fake.SOUND * 2
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    call = row(gate, event)
    assert (call["operation"], call["model"], call["response_bytes"]) == ("audio.speech", "tts-1", 20480)
    assert (call["capture"], call["cost_nano_usd"], call["cost_reason"]) == ("cut", None, "no_usage")
    headers = {"authorization": f"Bearer {OURS}"}
    detail = eventually(
        lambda: next(
            (d for d in [gate.get(f"/api/calls/{call['call_id']}", headers).json()] if d["request"]), None
        ),
        what="the request",
    )
    assert detail["answer"] is None
    assert "high tide" in detail["request"]["text"]


def test_a_transcription_is_sent_as_a_form_and_counted(
    gate: Tidegate, upstream: Provider, client: openai.OpenAI, event: dict[str, str]
) -> None:
    heard = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", fake.SOUND), extra_headers=event
    )

    assert heard.text == "High tide."
    sent = upstream.requests[-1]
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(sent.headers["content-length"]) == len(sent.body)
    assert fake.SOUND in sent.body
    call = row(gate, event)
    assert (call["operation"], call["model"]) == ("audio.transcriptions", "gpt-4o-transcribe")
    assert call["usage"] == {"input_uncached": 4, "input_audio": 10, "output_text": 6}
    assert call["cost_nano_usd"] == 4 * 2500 + 10 * 6000 + 6 * 10000
    assert (call["request_bytes"], call["capture"]) == (len(sent.body), "cut")
    assert call["parameters"]["content_type"] == "multipart/form-data"


def test_seconds_are_told_but_have_no_price(
    gate: Tidegate, client: openai.OpenAI, event: dict[str, str]
) -> None:
    client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"), extra_headers=event)

    call = row(gate, event)
    assert (call["cost_nano_usd"], call["cost_reason"], call["usage"]) == (None, "no_rate:units", {})
    assert call["raw_usage"] == '{"type":"duration","seconds":12}'


def test_files_come_and_go(
    gate: Tidegate, upstream: Provider, client: openai.OpenAI, event: dict[str, str]
) -> None:
    made = client.files.create(file=("rows.jsonl", fake.ROWS), purpose="batch", extra_headers=event)
    got = client.files.content(made.id, extra_headers=event)
    part = client.files.content(made.id, extra_headers={**event, "range": "bytes=0-4"})
    listed = client.files.list(limit=2, extra_headers=event)
    gone = client.files.delete(made.id, extra_headers=event)

    assert got.content == fake.ROWS
    assert (part.content, part.response.status_code) == (fake.ROWS[:5], 206)
    assert part.response.headers["content-range"] == "bytes 0-4/36"
    assert listed.data[0].id == "file-1"
    assert gone.deleted
    assert "/v1/files?limit=2" in [request.path for request in upstream.requests[-5:]]
    calls = gate.await_calls(5, {"authorization": f"Bearer {OURS}"}, event_id=event["x-tidegate-event-id"])
    found = {(call["operation"], call["cost_reason"], call["cost_nano_usd"]) for call in calls}
    assert found == {("files", "no_usage", None), ("files", "", 0), ("files.content", "", 0)}


def test_a_batch_is_pending_until_its_output_is_seen(
    gate: Tidegate, client: openai.OpenAI, event: dict[str, str]
) -> None:
    made = client.batches.create(
        input_file_id="file-1",
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"user_id": "bob"},
        extra_headers=event,
    )
    client.batches.retrieve(made.id, extra_headers=event)

    calls = gate.await_calls(2, {"authorization": f"Bearer {OURS}"}, event_id=event["x-tidegate-event-id"])
    found = {(call["parameters"]["method"], call["cost_nano_usd"], call["cost_reason"]) for call in calls}
    assert found == {("POST", None, "pending"), ("GET", 0, "")}
    assert {call["user_id"] for call in calls} == {"bob", ""}
    assert {call["response_id"] for call in calls} == {"batch_1"}


def test_moderations_cost_nothing_anybody_told(
    gate: Tidegate, client: openai.OpenAI, event: dict[str, str]
) -> None:
    client.moderations.create(input="tide", model="omni-moderation-latest", extra_headers=event)

    call = row(gate, event)
    assert (call["operation"], call["usage_source"], call["cost_reason"]) == (
        "moderations",
        "none",
        "no_usage",
    )


def test_the_header_names_a_foreign_provider_and_an_unknown_one_is_refused(
    gate: Tidegate, upstream: Provider, event: dict[str, str]
) -> None:
    body = {"model": "rerank-v3.5", "query": "tide", "documents": ["a"], "customer_identifier": "ann"}
    ranked = ask(gate, "POST", "/v1/rerank", body, {**event, "x-tidegate-provider": "ranker"})
    sent = upstream.requests[-1]
    wrong = ask(gate, "POST", "/v1/rerank", body, {"x-tidegate-provider": "rankr"})
    by_model = ask(gate, "POST", "/v1/rerank", {**body, "model": "ranker/rerank-v3.5"})

    assert (ranked.status, sent.headers["authorization"]) == (200, "Bearer rk")
    assert sent.json() == {"model": "rerank-v3.5", "query": "tide", "documents": ["a"]}
    call = row(gate, event)
    assert (call["provider"], call["operation"], call["user_id"]) == ("ranker", "rerank", "ann")
    assert (call["raw_usage"], call["cost_reason"]) == ('{"search_units":1}', "no_rate:units")
    assert wrong.status == 400
    assert "x-tidegate-provider" in wrong.json()["error"]["message"]
    assert "ranker" in wrong.json()["error"]["message"]
    assert by_model.status == 200
    assert upstream.requests[-1].json()["model"] == "rerank-v3.5"


def test_a_refusal_is_the_providers_own_and_not_tried_again(
    gate: Tidegate, upstream: Provider, client: openai.OpenAI, event: dict[str, str]
) -> None:
    before = len(upstream.requests)
    with pytest.raises(openai.RateLimitError) as caught:
        client.fine_tuning.jobs.create(model="babbage-002", training_file="file-1", extra_headers=event)

    assert (caught.value.code, caught.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "7")
    assert len(upstream.requests) == before + 1
    call = row(gate, event)
    assert (call["operation"], call["status"], call["http_status"]) == ("fine_tuning.jobs", "error", 429)


def test_kept_chat_completions_are_the_providers_and_new_ones_ours(
    gate: Tidegate, upstream: Provider
) -> None:
    listed = ask(gate, "GET", "/v1/chat/completions?limit=1")
    deleted = ask(gate, "DELETE", "/v1/chat/completions/chatcmpl-1")

    assert (listed.status, deleted.status) == (200, 200)
    assert [(r.method, r.path) for r in upstream.requests[-2:]] == [
        ("GET", "/v1/chat/completions?limit=1"),
        ("DELETE", "/v1/chat/completions/chatcmpl-1"),
    ]
    assert ask(gate, "PUT", "/v1/chat/completions", {}).status == 405
    assert ask(gate, "GET", "/v1/embeddings").status == 405


def test_heads_empty_answers_redirects_and_conditions_pass(gate: Tidegate, event: dict[str, str]) -> None:
    def raw(method: str, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)) as connection:
            connection.request(method, path, headers={"authorization": f"Bearer {OURS}", **event, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    status, headers, body = raw("HEAD", "/v1/files/file-1/content")
    assert (status, headers["content-length"], body) == (200, "12345", b"")
    assert raw("DELETE", "/v1/files/empty")[::2] == (204, b"")
    status, headers, _ = raw("GET", "/v1/files/moved")
    assert (status, headers["location"]) == (302, "https://elsewhere.example/x")
    status, headers, body = raw("GET", "/v1/files/known", **{"if-none-match": '"a"'})
    assert (status, headers["etag"], body) == (304, '"a"', b"")
    calls = gate.await_calls(4, {"authorization": f"Bearer {OURS}"}, event_id=event["x-tidegate-event-id"])
    assert {call["status"] for call in calls} == {"ok"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/files/%2e%2e/%2e%2e/admin",
        "/v1/files/..%2f..%2fadmin",
        "/v1/files/%252e%252e/admin",
        "/v1//admin",
        "/v1/files/..;/admin",
        "/v1/files/%5c..%5cadmin",
        "/v1/files/%00",
        "/v1/files/%ff",
        "/anthropic/v1/./admin",
        "/v1beta/files/../../admin",
        "/upload/v1beta/../admin",
    ],
)
def test_no_path_leads_out_of_the_providers_own(gate: Tidegate, upstream: Provider, path: str) -> None:
    before = len(upstream.requests)
    with closing(http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)) as connection:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("host", "localhost")
        connection.putheader("authorization", f"Bearer {OURS}")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()

    assert (answer.status, b"invalid_path" in body.lower()) == (400, True)
    assert len(upstream.requests) == before


def test_a_kept_response_is_not_reached_past_its_table(gate: Tidegate, upstream: Provider) -> None:
    before = len(upstream.requests)

    for path in ("/v1/responses/resp_1/input_items/", "/v1/%52esponses/resp_1/x", "/v1/Responses/resp_1"):
        assert ask(gate, "GET", path).status == 404
    assert len(upstream.requests) == before


def test_an_encoded_slash_in_an_id_stays_one(gate: Tidegate, upstream: Provider) -> None:
    assert ask(gate, "GET", "/v1/files/a%2Fb").status == 200
    assert upstream.requests[-1].path == "/v1/files/a%2Fb"


def test_anthropics_batches_and_files_go_to_anthropic(
    gate: Tidegate, upstream: Provider, claude: anthropic.Anthropic, event: dict[str, str]
) -> None:
    message: Any = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "a"}],
    }
    claude.messages.batches.create(requests=[{"custom_id": "a", "params": message}], extra_headers=event)
    sent = upstream.requests[-1]
    claude.messages.batches.retrieve("msgbatch_1")
    claude.beta.files.delete("file-1")

    assert (sent.path, sent.headers["x-api-key"]) == ("/v1/messages/batches", KEYS["anthropic"])
    assert [request.path for request in upstream.requests[-2:]] == [
        "/v1/messages/batches/msgbatch_1",
        "/v1/files/file-1",
    ]
    assert upstream.requests[-1].headers["x-api-key"] == KEYS["anthropic"]
    call = row(gate, event)
    assert (call["surface"], call["operation"]) == ("anthropic.passthrough", "messages.batches")
    assert (call["provider"], call["cost_reason"]) == ("anthropic", "pending")
    with pytest.raises(anthropic.NotFoundError, match="nothing at"):
        claude.get("/v1/nowhere", cast_to=object)


def test_geminis_other_paths_go_to_gemini_without_the_query_key(
    gate: Tidegate, upstream: Provider, event: dict[str, str]
) -> None:
    listed = gate.get(f"/v1beta/cachedContents?pageSize=2&key={OURS}", event)
    painted = gate.request(
        "POST", "/v1beta/models/gemini/imagen-4:predict", {"instances": []}, {"x-goog-api-key": OURS}
    )
    sent = upstream.requests[-2:]
    uploaded = gate.request(
        "POST",
        "/upload/v1beta/files?uploadType=media",
        fake.SOUND,
        {"x-goog-api-key": OURS, "content-type": "audio/wav", "x-goog-upload-protocol": "raw"},
    )

    assert (listed.status, painted.status, uploaded.status) == (200, 200, 200)
    assert sent[0].path == "/v1beta/cachedContents?pageSize=2"
    assert sent[0].headers["x-goog-api-key"] == KEYS["gemini"]
    assert sent[1].path == "/v1beta/models/imagen-4:predict"
    raw = upstream.requests[-1]
    assert (raw.path, raw.body) == ("/upload/v1beta/files?uploadType=media", fake.SOUND)
    assert (raw.headers["content-type"], raw.headers["x-goog-upload-protocol"]) == ("audio/wav", "raw")
    call = row(gate, event)
    assert (call["surface"], call["operation"]) == ("gemini.passthrough", "cachedContents")


def test_a_provider_of_another_api_cannot_be_named(gate: Tidegate) -> None:
    refused = ask(gate, "GET", "/v1/files", headers={"x-tidegate-provider": "gemini"})

    assert (refused.status, refused.json()["error"]["code"]) == (400, "surface_not_supported")


def test_who_has_no_key_of_the_house_gets_nothing(gate: Tidegate, upstream: Provider) -> None:
    before = len(upstream.requests)

    assert gate.get("/v1/files").status == 401
    assert gate.get("/v1/files", {"authorization": f"Bearer {KEYS['openai']}"}).status == 401
    assert len(upstream.requests) == before


def test_in_open_mode_the_clients_own_key_goes_to_the_native_provider_only(
    open_gate: Tidegate, upstream: Provider
) -> None:
    mine = {"authorization": "Bearer sk-mine"}
    native = open_gate.get("/v1/files", mine)
    before = len(upstream.requests)
    foreign = open_gate.get("/v1/files", {**mine, "x-tidegate-provider": "foreign"})
    nobody = open_gate.get("/v1/files")

    assert native.status == 200
    assert upstream.requests[before - 1].headers["authorization"] == "Bearer sk-mine"
    assert (foreign.status, nobody.status) == (401, 401)
    assert "FOREIGN_KEY" in foreign.json()["error"]["message"]
    assert "NOBODY_SET_THIS" in nobody.json()["error"]["message"]
    assert len(upstream.requests) == before


def test_a_client_that_hangs_up_ends_the_providers_work(
    gate: Tidegate, upstream: Provider, event: dict[str, str]
) -> None:
    before = upstream.hung_up
    with socket.create_connection(("127.0.0.1", gate.port), timeout=30) as connection:
        lines = ["GET /v1/files/slow HTTP/1.1", "host: localhost", f"authorization: Bearer {OURS}"]
        lines += [f"{name}: {value}" for name, value in event.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b"begun" in _until(connection, b"begun")

    call = row(gate, event)
    assert (call["status"], call["operation"]) == ("cancelled", "files")
    assert call["total_us"] < 10_000_000
    eventually(lambda: upstream.hung_up > before, what="the provider to notice")


def test_a_client_that_leaves_half_way_through_its_upload_ends_it_there(
    gate: Tidegate, upstream: Provider, event: dict[str, str]
) -> None:
    before, asked = upstream.hung_up, len(upstream.requests)
    lines = ["POST /v1/files HTTP/1.1", "host: localhost", f"authorization: Bearer {OURS}"]
    lines += ["content-type: multipart/form-data; boundary=b", "content-length: 1000000"]
    lines += [f"{name}: {value}" for name, value in event.items()]
    with socket.create_connection(("127.0.0.1", gate.port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + bytes(300_000))

    call = row(gate, event)
    assert call["status"] == "cancelled"
    assert 0 < call["request_bytes"] <= 300_000
    eventually(lambda: upstream.hung_up > before, what="the provider to notice")
    assert len(upstream.requests) == asked


def test_a_large_upload_passes_through_without_being_held(tmp_path: Path, event: dict[str, str]) -> None:
    size = 200 * 1024 * 1024
    with sink() as (port, taken):
        config = {"providers": {"openai": {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "k"}}}
        with Tidegate(tmp_path / "house", config) as house:
            house.get("/v1/models")
            pid = house.pids("worker")[0]
            before = _rss_kb(pid)
            head = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--\r\n'
            peak = _pour(house, head, size, event, pid)
            call = house.await_calls(1, event_id=event["x-tidegate-event-id"])[0]

    assert taken == [size]
    assert call["request_bytes"] == size
    assert (peak - before) / 1024 < 30


def _pour(house: Tidegate, head: bytes, size: int, event: dict[str, str], pid: int) -> int:
    """Send a form of this size; return the most the worker held, in KB."""
    piece = b"x" * (1 << 20)
    peak = 0
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)) as connection:
        connection.putrequest("POST", "/v1/files")
        for name, value in {**event, "content-type": "multipart/form-data; boundary=b"}.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(size))
        connection.endheaders(head)
        left = size - len(head)
        while left:
            connection.send(piece[:left])
            left -= min(left, len(piece))
            peak = max(peak, _rss_kb(pid))
        assert connection.getresponse().status == 200
    return peak


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def _until(connection: socket.socket, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said and (part := connection.recv(65536)):
        said += part
    return said


@contextmanager
def sink() -> Iterator[tuple[int, list[int]]]:
    """A provider that counts the bytes of one body, keeping none, and takes its time with them."""
    taken: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as incoming:
                    if not incoming.readline():
                        continue
                    length = int(http.client.parse_headers(incoming).get("content-length", "0"))
                    count = 0
                    while count < length and (part := incoming.read(min(1 << 18, length - count))):
                        count += len(part)
                    if count:
                        taken.append(count)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
                        b"connection: close\r\n\r\n{}"
                    )

        thread = threading.Thread(target=serve, name="sink")
        thread.start()
        try:
            yield server.getsockname()[1], taken
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(10)
