"""A call from the outside: what the client gets, and what the ledger says of it afterwards."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from tests.fakes.tidegate import Reply, Tidegate, eventually


def test_a_call_is_found_by_its_event_with_tokens_cost_and_latency(house: Tidegate) -> None:
    reply = house.request(
        "POST",
        "/v1/chat/completions",
        {"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello, tide"}]},
        {
            "x-tidegate-event-id": "first-light",
            "x-tidegate-user-id": "ada",
            "x-tidegate-thread-id": "t-1",
            "x-tidegate-environment": "staging",
            "x-tidegate-tags": "a,b",
            "x-tidegate-property-tier": "gold",
            "authorization": "Bearer sk-somebody-elses",
        },
    )

    call = house.await_calls(1, event_id="first-light")[0]
    assert reply.json()["choices"][0]["message"]["content"] == "Hello, tide"
    assert call["call_id"] == reply.headers["x-tidegate-call-id"]
    assert (call["user_id"], call["thread_id"], call["environment"]) == ("ada", "t-1", "staging")
    assert call["status"] == "ok"
    assert call["input_tokens"] == reply.json()["usage"]["prompt_tokens"] > 0
    assert call["output_tokens"] == reply.json()["usage"]["completion_tokens"] > 0
    assert call["cost_nano_usd"] == 0
    assert call["total_us"] > 0
    # bodies go in right after the calls they belong to
    full = eventually(
        lambda: (found := house.get(f"/api/calls/{call['call_id']}").json())["answer"] and found,
        what="its answer",
    )
    assert "Hello, tide" in str(full)
    assert "sk-somebody-elses" not in str(full)


def test_a_call_without_an_event_gets_one(house: Tidegate) -> None:
    reply = house.chat()

    event = reply.headers["x-tidegate-event-id"]
    assert house.await_calls(1, event_id=event)[0]["call_id"] == reply.headers["x-tidegate-call-id"]


def test_user_cost_and_thread_add_up(house: Tidegate) -> None:
    headers = {"x-tidegate-user-id": "grace", "x-tidegate-thread-id": "t-9"}
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "one two"}]}
    tokens = sum(
        house.request("POST", "/v1/chat/completions", body, headers).json()["usage"]["total_tokens"]
        for _ in range(3)
    )

    house.await_calls(3, user_id="grace")
    thread = house.get("/api/threads/t-9").json()
    assert len(thread["calls"]) == 3
    assert thread["totals"]["input_tokens"] + thread["totals"]["output_tokens"] == tokens

    def by_model() -> list[tuple[str, int]]:
        cost = house.get("/api/users/grace/cost?group_by=day,model")
        assert cost.status == 200
        return [(row["model"], row["calls"]) for row in cost.json()["rows"]]

    eventually(lambda: by_model() == [("echo", 3)], what="the sums, which follow their rows")


def test_embeddings_are_recorded(house: Tidegate) -> None:
    reply = house.request(
        "POST", "/v1/embeddings", {"model": "sandbox/echo", "input": "tide"}, {"x-tidegate-event-id": "emb"}
    )

    call = house.await_calls(1, event_id="emb")[0]
    assert len(reply.json()["data"]) == 1
    assert call["surface"] == "openai.embeddings"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_base_urls_work_with_and_without_v1(house: Tidegate, path: str) -> None:
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "x"}]}

    assert house.request("POST", path, body).status == 200


REFUSALS = [
    pytest.param(b"{not json", {}, 400, "invalid_json", id="bad JSON"),
    pytest.param(b"[1,2]", {}, 400, "invalid", id="not an object"),
    pytest.param(b'{"messages": []}', {}, 400, "model", id="no model"),
    pytest.param(b'{"model": "sandbox/echo"}', {}, 400, "messages", id="no messages"),
    pytest.param(
        b'{"model": "nobody-has-this", "messages": []}', {}, 404, "model_not_found", id="unknown model"
    ),
    pytest.param(b'{"model": "gpt-4o", "messages": []}', {}, 401, "OPENAI_API_KEY", id="no provider key"),
    pytest.param(b"{}", {"x-tidegate-user-id": "*"}, 400, "x-tidegate-user-id", id="bad header"),
    pytest.param(b"{}", {"x-tidegate-event-id": "a%0Ab"}, 400, "control characters", id="control characters"),
]


@pytest.mark.parametrize(("body", "headers", "status", "names"), REFUSALS)
def test_bad_input_gets_a_clear_error_in_openais_shape(
    house: Tidegate, body: bytes, headers: dict[str, str], status: int, names: str
) -> None:
    reply = house.request("POST", "/v1/chat/completions", body, headers)

    assert reply.status == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert names in reply.body.decode()
    assert all(reply.headers[f"x-{name}"] for name in ("request-id", "tidegate-call-id", "tidegate-event-id"))


def test_every_answer_names_its_event_even_an_error(house: Tidegate) -> None:
    reply = house.request("POST", "/v1/chat/completions", b"{", {"x-tidegate-event-id": "broken"})

    assert reply.headers["x-tidegate-event-id"] == "broken"
    assert house.await_calls(1, event_id="broken")[0]["status"] == "error"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health/live", 200), ("/v1/models", 200), ("/api/calls", 200), ("/nothing-here", 404)],
)
def test_also_answers_to_what_is_no_call_have_ids(house: Tidegate, path: str, status: int) -> None:
    reply = house.get(path)

    ids = {reply.headers[f"x-{name}"] for name in ("request-id", "tidegate-call-id", "tidegate-event-id")}
    assert reply.status == status
    assert len(ids) == 1


def test_an_unknown_path_and_a_wrong_method_are_told_apart(house: Tidegate) -> None:
    missing, method = house.get("/nothing-here"), house.get("/v1/embeddings")

    assert (missing.status, method.status) == (404, 405)
    assert set(missing.json()["error"]) == {"message", "type", "param", "code"}


def test_a_base_url_with_its_version_twice_is_told_what_to_set(house: Tidegate) -> None:
    sent = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}
    twice, other = (house.request("POST", f"/{path}/v1/chat/completions", sent) for path in ("v1", "openai"))

    error = twice.json()["error"]
    assert (twice.status, error["code"], error["type"]) == (404, "unknown_url", "invalid_request_error")
    assert "base URL has /v1 too much" in error["message"]
    assert "http://HOST:PORT" in error["message"]
    assert "base URL has /openai too much" in other.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/nothing<b>", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("/nothing<b>", "application/json, text/html", "application/json"),
        ("/nothing<b>", "*/*", "application/json"),
        ("/api/nothing", "text/html", "application/json"),
    ],
)
def test_a_person_who_opens_an_unknown_address_sees_a_page_with_a_way_home(
    house: Tidegate, path: str, accept: str, kind: str
) -> None:
    reply = house.get(quote(path), {"accept": accept})

    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (404, kind)
    assert "x-tidegate-call-id" in reply.headers
    if kind == "text/html":
        assert b"<code>/nothing&lt;b&gt;</code>" in reply.body
        assert b'<a href="/">' in reply.body


@pytest.mark.parametrize("path", ["/health/live", "/api/routes", "/api/calls", "/metrics"])
def test_what_can_only_be_read_says_so_to_other_methods(house: Tidegate, path: str) -> None:
    reply = house.request("POST", path, b"{}", {})

    assert (reply.status, reply.json()["error"]["code"]) == (405, "method_not_allowed")


def test_models_lists_the_sandbox(house: Tidegate) -> None:
    listed = house.get("/v1/models").json()

    assert "sandbox/echo" in [entry["id"] for entry in listed["data"]]


def test_one_model_is_found_by_its_name(house: Tidegate) -> None:
    found, missing = house.get("/v1/models/sandbox/echo"), house.get("/v1/models/nobody/has-this")

    assert found.json() == {"id": "sandbox/echo", "object": "model", "created": 0, "owned_by": "tidegate"}
    assert (missing.status, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_ready_names_each_sink_with_its_last_success(house: Tidegate) -> None:
    house.await_calls(1, event_id=house.chat().headers["x-tidegate-event-id"])

    def look() -> Reply | None:  # a row can be found a moment before its collector has come back from it
        reply = house.get("/health/ready")
        collector = next(sink for sink in reply.json()["sinks"] if sink["name"] == "collector")
        return reply if "last_success" in collector else None

    reply = eventually(look, what="the collector to be done")
    sinks = {sink["name"]: sink for sink in reply.json()["sinks"]}
    assert reply.json()["status"] == "ready", reply.body
    assert set(sinks) == {"journal", "hub", "routes", "litellm", "telemetry", "store", "collector"}
    assert sinks["collector"]["last_success"] > "2026"
    assert sinks["journal"]["last_success"] > "2026"


def test_metrics_of_all_processes_are_merged(house: Tidegate) -> None:
    house.chat()

    text = house.get("/metrics").body.decode()

    assert "tidegate_requests_total{" in text
    assert 'process="worker-0"' in text
    assert 'process="hub"' in text
    assert 'process="telemetry"' in text


def test_a_streams_bytes_are_the_same_every_time(house: Tidegate) -> None:
    body = {"model": "sandbox/echo", "stream": True, "messages": [{"role": "user", "content": "a b c"}]}

    stream = house.request("POST", "/v1/chat/completions", body).body

    events = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: ")]
    assert events[-1] == b"[DONE]"
    assert not any(msgspec.json.decode(event).get("usage") for event in events[:-1])
    assert stream == house.request("POST", "/v1/chat/completions", body).body
