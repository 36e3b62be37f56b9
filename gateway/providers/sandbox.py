"""The sandbox: a provider that needs no key and no network, and always answers the same.

The model's name says what it does:

* `sandbox/echo`            answers with the last user message
* `sandbox/lorem-<tokens>`  answers with so many tokens
* `sandbox/slow-<ms>`       echoes, the first byte after so long
* `sandbox/pace-<ms>`       echoes, so long before each event of a stream
* `sandbox/cut-<events>`    breaks the connection after so many events (or bytes of a document)
* `sandbox/error-<status>`  refuses, as OpenAI words it

A request body may say more, in an object `sandbox` (see `sandbox_script.Script`). With tools and no tool
result yet, the named or the first tool is called with arguments made from its schema; `response_format`
gets an object that fits. A token is up to four characters of a word, with the space before it. Chat completions,
responses and legacy completions are answered alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from gateway.errors import BadRequest, GatewayError, Refused
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.providers.openai import PATHS, refused
from gateway.providers.sandbox_chat import completion
from gateway.providers.sandbox_completions import text_completion
from gateway.providers.sandbox_embeddings import embeddings
from gateway.providers.sandbox_kept import answer as kept_answer
from gateway.providers.sandbox_kept import id_of
from gateway.providers.sandbox_responses import response
from gateway.providers.sandbox_script import MODELS, Bytes, Cut, Head, Script, Step, Wait, digest, script_of

__all__ = ["MODELS", "Bytes", "Cut", "Head", "Sandbox", "Step", "Wait", "play"]

ORIGIN = Origin("sandbox", "sandbox", 0)
_KEPT = PATHS["openai.responses"] + "/"

_bodies = msgspec.json.Decoder(dict[str, Any])

_REFUSALS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid request.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to do this.", "invalid_request_error", "forbidden"),
    404: (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
}

_LIMITS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "100000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "99000",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "600ms",
}


class Sandbox:
    """The provider; its requests are carried by `gateway.sandbox`."""

    name = "sandbox"
    owned_by = "tidegate"
    include_usage = True
    speaks = frozenset(PATHS)

    def request(
        self,
        surface: str,
        headers: dict[bytes, bytes],  # noqa: ARG002 - none matters here
        body: bytes,
        *,
        secret: str,  # noqa: ARG002 - none is needed
        stream: bool,  # noqa: ARG002 - the body says it
        model: str = "",  # noqa: ARG002 - the body says it
        query: bytes = b"",  # noqa: ARG002
    ) -> Outgoing:
        """Build a request that never leaves the process."""
        return Outgoing(method="POST", origin=ORIGIN, path=PATHS[surface], headers=[], body=body)

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Read the sandbox's own refusals like OpenAI's."""
        return refused(self.name, status, headers, body)


class _Answer(Protocol):
    def document(self) -> bytes: ...

    def events(self, *, include_usage: bool, chunks: int | None) -> Iterator[bytes]: ...


def play(path: str, body: bytes, method: str = "POST") -> Iterator[Step]:
    """Yield what happens, step by step. Never raises: what cannot be done is answered with an error."""
    request_id = "req_" + digest(body)[:32]
    try:
        if path.startswith(_KEPT):
            yield from _kept(method, path.removeprefix(_KEPT), request_id)
            return
        said = _decode(body)
        model = str(said.get("model", "")).removeprefix("sandbox/")
        script = script_of(model, said)
        if path == PATHS["openai.embeddings"]:
            steps = _document(script, embeddings(model, said, script), request_id)
        else:
            steps = _spoken(path, model, said, script, body, request_id)
    except GatewayError as error:
        detail = {"message": str(error), "type": error.type, "param": error.param or None, "code": error.code}
        yield Head(error.status, _headers("application/json", request_id, Script()))
        yield Bytes(msgspec.json.encode({"error": detail}))
        return
    if script.delay_ms:
        yield Wait(script.delay_ms)
    yield from steps


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return _bodies.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("The body is not a JSON object.", code="invalid_json") from error


def _kept(method: str, place: str, request_id: str) -> Iterator[Step]:
    document, events = kept_answer(method, place)
    steps = _document(Script(), document, request_id)
    yield from steps if events is None else _stream(Script(), events, request_id)


def _spoken(
    path: str, model: str, body: dict[str, Any], script: Script, seed: bytes, request_id: str
) -> Iterator[Step]:
    """Choose how to answer; checks the request at once, before the first step."""
    if script.status >= 400:
        return _document(script, b"", request_id)
    answer = _answer(path, model, body, script, seed)
    if body.get("stream") is not True:
        if script.error is not None:
            script = msgspec.structs.replace(script, status=500)
        return _document(script, answer.document(), request_id)
    options = body.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    events = answer.events(include_usage=include_usage, chunks=script.chunks)
    return _stream(script, events, request_id, typed=path == PATHS["openai.responses"])


def _answer(path: str, model: str, body: dict[str, Any], script: Script, seed: bytes) -> _Answer:
    if path == PATHS["openai.responses"]:
        return response(model, body, script, seed, id_of(seed))
    if path == PATHS["openai.completions"]:
        return text_completion(model, body, script, seed)
    return completion(model, body, script, seed)


def _document(script: Script, document: bytes, request_id: str) -> Iterator[Step]:
    if script.status >= 400:
        document = _refusal(script)
    cut = script.cut_after
    headers = _headers("application/json", request_id, script)
    yield Head(script.status, [*headers, (b"content-length", str(len(document)).encode())])
    if cut is not None and cut < len(document):
        if cut:
            yield Bytes(document[:cut])
        yield Cut()
        return
    yield Bytes(document)


def _stream(
    script: Script, events: Iterator[bytes], request_id: str, *, typed: bool = False
) -> Iterator[Step]:
    i = -1
    yield Head(script.status, _headers("text/event-stream; charset=utf-8", request_id, script))
    for i, event in enumerate(events):
        if script.cut_after is not None and i >= script.cut_after:
            break
        if script.error is not None and script.cut_after is None:
            break
        if i and script.chunk_ms:
            yield Wait(script.chunk_ms)
        yield Bytes(event)
    else:
        return
    if script.error is not None:
        yield Bytes(_typed_error(script, i) if typed else b"data: " + _refusal(script) + b"\n\n")
    else:
        yield Cut()


def _typed_error(script: Script, number: int) -> bytes:
    said = {"code": None, "message": "The server had an error.", "param": None, **(script.error or {})}
    said |= {"type": "error", "sequence_number": number}
    return b"event: error\ndata: " + msgspec.json.encode(said) + b"\n\n"


def _refusal(script: Script) -> bytes:
    kind = "invalid_request_error" if script.status < 500 else "server_error"
    message, kind, code = _REFUSALS.get(script.status, (f"Status {script.status}.", kind, None))
    detail = {"message": message, "type": kind, "param": None, "code": code, **(script.error or {})}
    return msgspec.json.encode({"error": detail})


def _headers(content_type: str, request_id: str, script: Script) -> Headers:
    said = {
        "content-type": content_type,
        "x-request-id": request_id,
        "openai-version": "2020-10-01",
        "openai-processing-ms": str(script.delay_ms),
        **_LIMITS,
    }
    if script.status == 429:
        said |= {"retry-after": "1", "retry-after-ms": "1000", "x-ratelimit-remaining-requests": "0"}
    said |= {name.lower(): value for name, value in script.headers.items()}
    return [(name.encode(), value.encode()) for name, value in said.items()]
