from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.base import Provider
from gateway.providers.sandbox import ORIGIN, Bytes, Cut, Head, Sandbox, Step, Wait, play
from gateway.wire.openai_answer import DocumentReading
from gateway.wire.openai_stream import StreamReading

KEYS = [
    *(
        "messages",
        "tools",
        "tool_choice",
        "function",
        "name",
        "parameters",
        "type",
        "properties",
        "items",
        "enum",
    ),
    *(
        "stream",
        "stream_options",
        "include_usage",
        "n",
        "max_tokens",
        "response_format",
        "json_schema",
        "schema",
    ),
    *(
        *(
            "input",
            "prompt",
            "instructions",
            "reasoning",
            "format",
            "previous_response_id",
            "role",
            "content",
        ),
        *("max_output_tokens", "background", "metadata", "echo", "output"),
        "sandbox",
        "text",
        "cut_after",
        "error",
        "usage",
        "tool_calls",
        "input",
        "dimensions",
        "role",
        "content",
    ),
    *("anyOf", "allOf", "$ref", "minimum", "required", "minItems"),
]
HELLO: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "hello there"}]}


def run(path: str = "/chat/completions", **body: Any) -> list[Step]:
    return list(play(path, msgspec.json.encode({**HELLO, **body})))


def head(steps: list[Step]) -> Head:
    (found,) = [s for s in steps if isinstance(s, Head)]
    return found


def body_of(steps: list[Step]) -> bytes:
    return b"".join(s.data for s in steps if isinstance(s, Bytes))


def document(steps: list[Step]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(body_of(steps))
    return found


def events(steps: list[Step]) -> list[bytes]:
    return [s.data for s in steps if isinstance(s, Bytes)]


def test_requests_never_leave_the_process():
    provider: Provider = Sandbox()

    outgoing = provider.request("openai.chat", {b"x": b"y"}, b"{}", secret="s", stream=False)

    assert outgoing.origin == ORIGIN
    assert outgoing.headers == []
    assert provider.failure(429, [(b"retry-after", b"1")], b"{}").retryable


def test_the_same_request_gets_the_same_bytes():
    assert run(stream=True) == run(stream=True)
    assert run() != run(messages=[{"role": "user", "content": "other"}])


def test_echo_answers_with_the_last_user_message():
    steps = run()

    assert head(steps).status == 200
    headers = dict(head(steps).headers)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-request-id"].startswith(b"req_")
    assert headers[b"content-length"] == str(len(body_of(steps))).encode()
    answer = document(steps)
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": "hello there",
        "refusal": None,
        "annotations": [],
    }
    assert (
        answer["usage"]["total_tokens"]
        == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    )


def test_a_stream_reads_as_the_document_does():
    whole, stream = DocumentReading(), StreamReading(strip_usage=False)
    whole.feed(body_of(run()))
    whole.end()
    for event in events(run(stream=True, stream_options={"include_usage": True})):
        stream.feed(event)
    stream.end()

    assert stream.finding().complete
    assert stream.finding().usage == whole.finding().usage
    assert stream.finding().finish_reason == "stop"


def test_every_event_has_the_fields_a_strict_client_expects():
    steps = run(stream=True, stream_options={"include_usage": True}, n=2)

    *said, done = events(steps)
    assert done == b"data: [DONE]\n\n"
    parsed = [msgspec.json.decode(e[6:]) for e in said]
    assert all({"id", "object", "created", "model", "system_fingerprint", "usage"} <= set(p) for p in parsed)
    assert {c["index"] for p in parsed for c in p["choices"]} == {0, 1}
    assert all({"logprobs", "finish_reason"} <= set(c) for p in parsed for c in p["choices"])
    assert parsed[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [p["choices"] for p in parsed if p["usage"]] == [[]]
    text = "".join(c["delta"].get("content", "") for p in parsed for c in p["choices"] if c["index"] == 1)
    assert text == "hello there"


def test_usage_is_not_streamed_unasked():
    assert b"usage" not in body_of(run(stream=True))


@pytest.mark.parametrize(
    ("model", "expected"),
    [("slow-250", [Wait(250)]), ("echo", [])],
)
def test_slow_waits_before_the_first_byte(model, expected):
    steps = run(model=model)

    assert [s for s in steps if isinstance(s, Wait)] == expected
    if expected:
        assert steps[0] == expected[0]


def test_pace_waits_between_events():
    steps = run(model="pace-5", stream=True)

    assert isinstance(steps[1], Bytes)
    assert steps.count(Wait(5)) == len(events(steps)) - 1


def test_lorem_writes_so_many_tokens():
    answer = document(run(model="lorem-37"))

    assert answer["usage"]["completion_tokens"] == 37


def test_cut_breaks_a_stream_after_so_many_events():
    steps = run(model="cut-2", stream=True)

    assert len(events(steps)) == 2
    assert steps[-1] == Cut()


def test_cut_breaks_a_document_after_so_many_bytes():
    steps = run(sandbox={"cut_after": 10})

    assert (len(body_of(steps)), steps[-1]) == (10, Cut())
    assert run(sandbox={"cut_after": 0})[1:] == [Cut()]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, None),
        (401, "invalid_api_key"),
        (404, "model_not_found"),
        (429, "rate_limit_exceeded"),
        (500, None),
        (418, None),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_errors_are_worded_like_openais(status, code, stream):
    steps = run(model=f"error-{status}", stream=stream)

    assert head(steps).status == status
    assert set(document(steps)["error"]) == {"message", "type", "param", "code"}
    assert document(steps)["error"]["code"] == code
    assert (b"retry-after" in dict(head(steps).headers)) is (status == 429)


def test_a_script_says_everything():
    steps = run(
        stream=True,
        stream_options={"include_usage": True},
        sandbox={
            "text": "abcdef",
            "delay_ms": 1,
            "chunk_ms": 2,
            "chunks": 2,
            "headers": {"X-Own": "1"},
            "usage": {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15},
            "finish_reason": "content_filter",
        },
    )

    said = body_of(steps)
    assert b'"content":"abc"' in said
    assert b'"content":"def"' in said
    assert b'"finish_reason":"content_filter"' in said
    assert b'"usage":{"prompt_tokens":7,' in said
    assert dict(head(steps).headers)[b"x-own"] == b"1"
    assert steps[0] == Wait(1)


def test_a_script_can_withhold_usage():
    assert "usage" not in document(run(sandbox={"usage": None}))
    assert b'"usage":{' not in body_of(
        run(stream=True, stream_options={"include_usage": True}, sandbox={"usage": None})
    )


def test_an_error_can_come_after_the_200():
    steps = run(stream=True, sandbox={"error": {"message": "overloaded"}, "cut_after": 2})

    assert head(steps).status == 200
    assert len(events(steps)) == 3
    assert events(steps)[-1].startswith(b'data: {"error":{"message":"overloaded"')
    assert events(run(stream=True, sandbox={"error": {}}))[0].startswith(b'data: {"error"')
    assert head(run(sandbox={"error": {"message": "x"}})).status == 500


@pytest.mark.parametrize(
    ("script", "field"),
    [
        ({"delay_ms": "soon"}, "sandbox.delay_ms"),
        ({"delay_ms": -1}, "sandbox.delay_ms"),
        ({"delay_ms": 10**9}, "sandbox.delay_ms"),
        ({"status": 42}, "sandbox.status"),
        ({"headers": {"a b": "c"}}, "sandbox.headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "sandbox.headers"),
        ({"tool_calls": [{}]}, "sandbox.tool_calls"),
        ({"texts": "x"}, "sandbox"),
        (7, "sandbox"),
    ],
)
def test_a_bad_script_is_named(script, field):
    steps = run(sandbox=script)

    assert head(steps).status == 400
    assert document(steps)["error"]["param"] == field


@pytest.mark.parametrize("model", ["nothing", "lorem-", "slow-x", "error-200", ""])
def test_an_unknown_model_is_a_404_that_lists_them(model):
    steps = run(model=model)

    assert head(steps).status == 404
    assert "lorem-<tokens>" in document(steps)["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model":"echo"}', b'{"model":"echo","messages":[]}', b'{"model":7}']
)
def test_nonsense_is_answered_with_an_error(body):
    steps = list(play("/chat/completions", body))

    assert head(steps).status in {400, 404}
    assert "error" in document(steps)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8),
    st.sampled_from(["/chat/completions", "/embeddings", "/responses", "/completions"]),
)
def test_any_body_is_played_to_its_end(body, path):
    steps = list(play(path, msgspec.json.encode({**HELLO, **body})))

    assert isinstance(next(s for s in steps if not isinstance(s, Wait)), Head)


@pytest.mark.parametrize(
    ("path", "first", "pieces"),
    [
        ("/responses", b"event: response.created", 5),
        ("/completions", b"data: ", 2),
    ],
)
def test_every_path_is_cut_and_refused_as_the_model_says(path, first, pieces):
    asked = {"input": "high tide", "prompt": "high tide", "stream": True}

    cut = list(play(path, msgspec.json.encode({"model": f"cut-{pieces}", **asked})))
    refused = list(play(path, msgspec.json.encode({"model": "error-429", **asked})))

    assert [type(step) for step in cut] == [Head, *[Bytes] * pieces, Cut]
    assert isinstance(cut[1], Bytes)
    assert cut[1].data.startswith(first)
    assert isinstance(refused[0], Head)
    assert refused[0].status == 429


def test_embeddings_have_openais_shape():
    answer = document(run("/embeddings", input=["a", "b"], dimensions=4))

    assert [(e["object"], e["index"], len(e["embedding"])) for e in answer["data"]] == [
        ("embedding", 0, 4),
        ("embedding", 1, 4),
    ]
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
