"""OpenAI's chat completions and embeddings over HTTP, answered by litellm's functions."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.providers.litellm import PATHS
from gateway.tasks import spawn

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Headers = list[tuple[bytes, bytes]]

CHAT = frozenset(
    {
        *(
            "model",
            "messages",
            "stream",
            "stream_options",
            "n",
            "stop",
            "seed",
            "user",
            "service_tier",
            "store",
        ),
        *("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "logit_bias"),
        *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format"),
        *("max_tokens", "max_completion_tokens", "reasoning_effort", "thinking", "verbosity", "modalities"),
        *("logprobs", "top_logprobs", "audio", "prediction", "web_search_options", "prompt_cache_key"),
        *("prompt_cache_retention", "safety_identifier"),
    }
)
EMBEDDINGS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_KNOWN = {PATHS["openai.chat"]: CHAT, PATHS["openai.embeddings"]: EMBEDDINGS}
"""What a caller may say. litellm takes much more by the same way: where to send our keys, files to read, callbacks."""
LABELS = frozenset({"metadata"})
"""Left out, as litellm would take it for notes of its own; the answer's headers say so."""

CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_filter",
}
"""OpenAI's codes for what litellm says by the class of an error. Source: litellm 1.106.2, exceptions.py (2026-11)."""

OURS: Message = {"num_retries": 0, "max_retries": 0, "timeout": 86_400.0, "_skip_mcp_handler": True}
"""Retries and clocks are the worker's business; tools are the caller's. Source: litellm 1.106.2, main.py (2026-11)."""

_MODEL = re.compile(r"(?!.*(?://|\.\.))[\w./:@+ -]+", re.ASCII)
"""A name, and no URL: for some providers litellm would take one for the address."""
_NEEDS_A_PERSON = frozenset({"chatgpt", "github_copilot"})
"""Who opens a browser instead of reading a key, and makes all others wait meanwhile. Source: litellm 1.106.2 (2026-11)."""
_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream")
_DONE = b"[DONE]"
_DROPPED = b"x-tidegate-dropped-params"
_TRACE = "\nTraceback (most recent call last)"
"""Follows some messages."""
_NO_KEY = re.compile("Missing credentials|credentials were not found")
"""What OpenAI's and Google's libraries say without one; litellm makes a 500 of it. Source: litellm 1.106.2 (2026-11)."""
_CALLERS_FAULT = "invalid_request_error"
_TOLD = ("retry-after", "retry-after-ms", "x-request-id", "request-id")
"""Of a provider's headers, those that say something of a refusal."""


class Engine(Protocol):
    """What of litellm is used."""

    async def acompletion(self, **arguments: Any) -> Any:  # noqa: ANN401 - litellm's own types
        """Answer with a completion, or with a stream of chunks."""
        ...

    async def aembedding(self, **arguments: Any) -> Any:  # noqa: ANN401 - as above
        """Answer with embeddings."""
        ...

    def get_llm_provider(self, model: str) -> tuple[str, str, Any, Any]:
        """Return, second, litellm's name of the provider; raise if it knows none."""
        ...


class Told(NamedTuple):
    """An error as it is answered."""

    status: int
    headers: Headers
    body: bytes


class Unusable(Exception):
    """A request that litellm is not asked."""

    def __init__(self, message: str, *, code: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status_code = status
        self.code = code
        self.param = param


class LitellmApp:
    """The ASGI application. `secrets` are taken out of what litellm says of its errors."""

    def __init__(self, engine: Engine, *, secrets: Iterable[str] = ()) -> None:
        self._engine = engine
        self._secrets = tuple(secrets)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, unless whoever asked hangs up before."""
        body = await _body(receive)
        if body is None:
            return
        call = spawn(self._answer(scope["path"], body, send), name="call")
        gone = spawn(_hang_up(receive), name="hang-up")
        try:
            await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            call.cancel()
            gone.cancel()
            await asyncio.wait({call, gone})

    async def _answer(self, path: str, body: bytes, send: Send) -> None:
        begun = False
        try:
            said = self._read(path, body)
            provider = self._engine.get_llm_provider(said["model"])[1]
            arguments = {name: value for name, value in said.items() if name not in LABELS}
            dropped = [(_DROPPED, b"metadata")] if len(arguments) < len(said) else []
            ask = self._engine.aembedding if path == PATHS["openai.embeddings"] else self._engine.acompletion
            answer = await ask(**arguments, **OURS)
            if not said.get("stream"):
                await _send(send, Told(200, [_JSON, *dropped], _written(answer, provider)))
                return
            async with contextlib.aclosing(_events(answer, provider)) as events:
                async for event in events:
                    if not begun:  # not earlier: until then an error has a status of its own
                        begun = True
                        headers = [_EVENTS, *dropped]
                        await send({"type": "http.response.start", "status": 200, "headers": headers})
                    await _send_event(send, event, more=event is not _DONE)
        except Exception as error:  # noqa: BLE001 - a hundred providers' modules raise what they like
            told = self.told(error)
            if begun:
                await _send_event(send, told.body, more=False)
            else:
                await _send(send, told)

    def told(self, error: Exception) -> Told:
        """Return an error in OpenAI's shape, and what its provider said of trying again."""
        status = getattr(error, "status_code", 0)
        if not isinstance(status, int) or not 400 <= status <= 599:
            status = 500
        message, _, _ = str(getattr(error, "message", "") or error).partition(_TRACE)
        if status == 500 and _NO_KEY.search(message):
            status = 401
        for secret in self._secrets:
            message = message.replace(secret, "***")
        code = CODES.get(type(error).__name__) or getattr(error, "code", None)
        said = {
            "message": message,
            "type": getattr(error, "type", None) or ("server_error" if status >= 500 else _CALLERS_FAULT),
            "param": getattr(error, "param", None),
            "code": None if str(code).isdigit() else code,  # the status once more
        }
        headers = getattr(error, "litellm_response_headers", None) or {}
        kept = [(name, headers[name].encode("latin-1")) for name in _TOLD if name in headers]
        return Told(
            status,
            [_JSON, *((name.encode(), value) for name, value in kept)],
            msgspec.json.encode({"error": said}),
        )

    def _read(self, path: str, body: bytes) -> Message:
        """Return the request; raise Unusable unless it is one that litellm may see."""
        known = _KNOWN.get(path)
        if known is None:
            raise Unusable(f"nothing lives at {path}", code="unknown_url", status=404)
        said = msgspec.json.decode(body, type=dict[str, Any])
        if strange := sorted(said.keys() - known - LABELS):
            raise Unusable(
                f"{', '.join(strange)}: this cannot be said through litellm. Leave it out.",
                code="unsupported_parameter",
                param=strange[0],
            )
        model = said.get("model")
        named = isinstance(model, str) and _MODEL.fullmatch(model)
        if not named or named[0].partition("/")[0] in _NEEDS_A_PERSON:
            raise Unusable(
                f"The model `{model}` cannot be asked through litellm.", code="model_not_found", param="model"
            )
        return said


async def _events(chunks: Any, provider: str) -> AsyncGenerator[bytes]:  # noqa: ANN401 - litellm's own types
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            yield _written(chunk, provider)
    yield _DONE


def _written(answer: Any, provider: str) -> bytes:  # noqa: ANN401 - litellm's own types
    """Return an answer or a chunk as OpenAI has it, its model with the provider that prices are found by."""
    said: Message = answer.model_dump(mode="json", exclude_none=True, warnings="none")
    model = said.get("model") or ""
    said["model"] = model if model.startswith(f"{provider}/") else f"{provider}/{model}"
    choices = said.get("choices", [])
    for choice in choices:
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
    if "usage" in said:
        said["usage"].pop("cost", None)  # what litellm thinks; the gateway has prices of its own
        if not any(choice.get("delta", True) or choice["finish_reason"] for choice in choices):
            said["choices"] = []  # as OpenAI marks the event that holds nothing else
    return msgspec.json.encode(said)


async def _send(send: Send, told: Told) -> None:
    length = (b"content-length", b"%d" % len(told.body))
    await send({"type": "http.response.start", "status": told.status, "headers": [*told.headers, length]})
    await send({"type": "http.response.body", "body": told.body})


async def _send_event(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": b"data: %b\n\n" % data, "more_body": more})


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body; None if the caller hung up."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _hang_up(receive: Receive) -> None:
    """Return when the caller is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
