from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.processes.litellm_app import OURS, LitellmApp
from gateway.tasks import spawn

CHAT = "/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


class Said:
    """What litellm answers with, as far as it is looked at."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {**self._fields}


class Failure(Exception):
    """An error as litellm makes them."""

    def __init__(self, message: str, status_code: object, **more: object) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        vars(self).update(more)


class ContextWindowExceededError(Failure):
    """Named like litellm's."""


class Engine:
    """Plays a script: an answer, an error, or the chunks of a stream with errors and waits among them."""

    def __init__(self, script: Any) -> None:
        self._script = script
        self.asked: list[dict[str, Any]] = []
        self.closed = asyncio.Event()

    def get_llm_provider(self, model: str) -> tuple[str, str, Any, Any]:
        if not model.startswith("acme/"):
            raise Failure("nobody's", 400)
        return model.removeprefix("acme/"), "acme", None, None

    async def acompletion(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        if isinstance(self._script, Exception):
            raise self._script
        return self._stream() if arguments.get("stream") else self._script

    aembedding = acompletion

    async def _stream(self) -> AsyncIterator[Any]:
        try:
            for step in self._script:
                if isinstance(step, Exception):
                    raise step
                if step == "wait":
                    await asyncio.Event().wait()
                yield step
        finally:
            self.closed.set()


class Caller:
    """Sends one request, and hangs up when told to."""

    def __init__(self, app: LitellmApp, path: str = CHAT) -> None:
        self._app = app
        self._path = path
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.heard = asyncio.Event()

    async def ask(self, **said: Any) -> None:
        asked = {"model": "acme/rocket", "messages": MESSAGES, **said}
        body = msgspec.json.encode(
            {name: value for name, value in asked.items() if value is not msgspec.UNSET}
        )
        parts: list[dict[str, Any]] = [
            {"type": "http.request", "body": body[:5], "more_body": True},
            {"type": "http.request", "body": body[5:]},
        ]

        async def receive() -> dict[str, Any]:
            if parts:
                return parts.pop(0)
            await self.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)
            if message.get("body"):
                self.heard.set()

        await self._app({"path": self._path}, receive, send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def events(self) -> list[Any]:
        assert self.sent[-1].get("more_body", False) is False
        told = [event.removeprefix(b"data: ") for event in self.body.split(b"\n\n") if event]
        return ["[DONE]" if event == b"[DONE]" else msgspec.json.decode(event) for event in told]


async def asked(script: Any, path: str = CHAT, **said: Any) -> tuple[Caller, Engine]:
    engine = Engine(script)
    caller = Caller(LitellmApp(engine, secrets=["sk-very-secret"]), path)
    await caller.ask(**said)
    return caller, engine


def chunk(text: str, **more: Any) -> Said:
    return Said(model="rocket", choices=[{"index": 0, "delta": {"content": text}}], **more)


async def test_an_answer_has_what_openais_has_and_a_model_that_prices_are_found_by() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": []}, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 1, "cost": 0.1}
    caller, engine = await asked(Said(model="rocket-2", choices=[choice], usage=usage), temperature=0)

    assert (caller.status, caller.headers[b"content-type"]) == (200, b"application/json")
    assert int(caller.headers[b"content-length"]) == len(caller.body)
    assert caller.json["model"] == "acme/rocket-2"
    assert caller.json["choices"][0]["message"]["content"] is None
    assert caller.json["usage"] == {"prompt_tokens": 1}
    assert engine.asked == [{"model": "acme/rocket", "messages": MESSAGES, "temperature": 0, **OURS}]


async def test_a_stream_has_an_event_for_each_chunk_and_usage_in_one_of_its_own() -> None:
    last = Said(model="acme/rocket", choices=[{"index": 0, "delta": {}}], usage={"prompt_tokens": 1})
    caller, engine = await asked([chunk("a"), chunk("b"), last], stream=True)

    assert caller.headers[b"content-type"] == b"text/event-stream"
    first, second, usage, done = caller.events
    assert [first["choices"][0]["delta"]["content"], second["choices"][0]["delta"]["content"]] == ["a", "b"]
    assert first["choices"][0]["finish_reason"] is None
    assert (usage["choices"], usage["model"], done) == ([], "acme/rocket", "[DONE]")
    assert engine.closed.is_set()


async def test_embeddings_are_answered_and_know_no_messages() -> None:
    script = Said(model="m", data=[{"index": 0}])
    caller, engine = await asked(script, "/embeddings", input="x")

    assert (caller.status, caller.json["error"]["param"]) == (400, "messages")
    caller = Caller(LitellmApp(engine), "/embeddings")
    await caller.ask(input="x", messages=msgspec.UNSET)
    assert caller.json == {"model": "acme/m", "data": [{"index": 0}]}


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Failure("slow", 429, code="429", type="throttling_error"), 429, ("slow", "throttling_error", None)),
        (
            ContextWindowExceededError("long", 400),
            400,
            ("long", "invalid_request_error", "context_length_exceeded"),
        ),
        (Failure("odd", 200), 500, ("odd", "server_error", None)),
        (Failure("Missing credentials.", 500), 401, ("Missing credentials.", "invalid_request_error", None)),
        (KeyError("model"), 500, ("'model'", "server_error", None)),
        (
            Failure("key sk-very-secret\nTraceback (most recent call last)\n x", 401),
            401,
            ("key ***", "invalid_request_error", None),
        ),
    ],
)
async def test_an_error_is_told_in_openais_shape(
    error: Exception, status: int, told: tuple[Any, ...]
) -> None:
    for stream in (False, True):
        caller, _ = await asked(error, stream=stream)

        said = caller.json["error"]
        assert (caller.status, (said["message"], said["type"], said["code"])) == (status, told)


async def test_an_error_before_the_first_chunk_has_its_status_and_its_pause() -> None:
    slow = Failure("slow", 429, litellm_response_headers={"retry-after": "7", "server": "x"})
    caller, engine = await asked([slow], stream=True)

    assert (caller.status, caller.headers[b"retry-after"]) == (429, b"7")
    assert b"server" not in caller.headers
    assert engine.closed.is_set()


async def test_an_error_after_it_ends_the_stream_with_an_event() -> None:
    caller, _ = await asked([chunk("a"), Failure("broke", 503)], stream=True)

    assert caller.status == 200
    _, error = caller.events
    assert error["error"]["message"] == "broke"


@pytest.mark.parametrize("where", ["headers", "stream"])
async def test_a_caller_that_hangs_up_ends_the_call(where: str) -> None:
    engine = Engine(["wait"] if where == "headers" else [chunk("a"), "wait"])
    caller = Caller(LitellmApp(engine))
    call = spawn(caller.ask(stream=True), name="call")
    if where == "stream":
        await caller.heard.wait()
    caller.left.set()
    await asyncio.wait_for(call, 5)

    if where == "stream":
        assert engine.closed.is_set()


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"api_base": "http://evil"}, "api_base"),
        ({"api_key": "x", "callbacks": []}, "api_key"),
        ({"extra_body": {}}, "extra_body"),
        ({"model": "acme/http://evil"}, "model"),
        ({"model": "acme/../x"}, "model"),
        ({"model": "acme/x\n"}, "model"),
        ({"model": "github_copilot/gpt-4"}, "model"),
        ({"model": None}, "model"),
    ],
)
async def test_what_could_send_keys_elsewhere_or_stop_everybody_is_refused(
    said: dict[str, Any], param: str
) -> None:
    caller, engine = await asked(Said(), **said)

    assert (caller.status, caller.json["error"]["param"]) == (400, param)
    assert engine.asked == []


@pytest.mark.parametrize("stream", [False, True])
async def test_labels_are_left_out_and_the_caller_told(*, stream: bool) -> None:
    script = [chunk("a")] if stream else Said(model="m", choices=[])
    caller, engine = await asked(script, stream=stream, metadata={"user_id": "ada"})

    assert "metadata" not in engine.asked[0]
    assert caller.headers[b"x-tidegate-dropped-params"] == b"metadata"


async def test_a_stream_of_nothing_ends_in_order() -> None:
    caller, _ = await asked([], stream=True)

    assert (caller.status, caller.events) == (200, ["[DONE]"])


async def test_other_paths_and_models_of_nobody_are_refused() -> None:
    assert (await asked(Said(), "/responses"))[0].status == 404
    assert (await asked(Said(), model="nobody/x"))[0].json["error"]["message"] == "nobody's"
