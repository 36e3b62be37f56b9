"""Bytes as Gemini's Developer API sends them, and a script that plays it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tests.fakes.provider import Received, Script, sse

MODEL = "gemini-2.5-flash"
JSON = (("content-type", "application/json; charset=UTF-8"),)
PROMPT = {"promptTokenCount": 30, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}]}
USAGE = {
    **PROMPT,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 40,
    "cachedContentTokenCount": 20,
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
    "totalTokenCount": 75,
    "serviceTier": "standard",
}
"""10 fresh, 20 cached; 5 said, 40 thought."""


def response(parts: Sequence[dict[str, Any]], reason: str = "", **more: object) -> dict[str, Any]:
    """One answer, or one event of a stream."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    named = {"modelVersion": MODEL, "responseId": "resp-1"}
    return {"candidates": [candidate], "usageMetadata": USAGE, **named, **more}


def events() -> list[dict[str, Any]]:
    """A short stream: a thought, two words, the end."""
    return [
        response([{"text": "Hm.", "thought": True}], usageMetadata=PROMPT),
        response([{"text": "Hello, "}], usageMetadata={**PROMPT, "candidatesTokenCount": 2}),
        response([{"text": "world!"}], usageMetadata={**PROMPT, "candidatesTokenCount": 5}),
        response([{"text": "", "thoughtSignature": "Cg=="}], "STOP"),
    ]


CALL = {"functionCall": {"name": "weather", "args": {"city": "Oslo", "finishReason": "no", "error": "none"}}}


def line(event: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(event) + b"\r\n\r\n"


def pretty(value: object) -> bytes:
    """JSON with line breaks, as Gemini writes it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def array(said: Sequence[dict[str, Any]]) -> list[bytes]:
    """The pieces in which a JSON array arrives."""
    pieces = [pretty(event) + b"\n" for event in said]
    return [b"[" + pieces[0], *(b",\r\n" + piece for piece in pieces[1:]), b"]"]


def refusal(
    status: int, name: str, *details: dict[str, Any], wrapped: bool = False, said: str = ""
) -> Script:
    """An error in Gemini's shape."""
    error = {
        "error": {
            "code": status,
            "message": said or f"{name} it is.",
            "status": name,
            "details": list(details),
        }
    }
    return Script(status=status, headers=JSON, body=pretty([error] if wrapped else error))


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "39s"}
KEY_INVALID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


def stream(said: Sequence[dict[str, Any]], path: str, *, pause_s: float = 0, end: bool = True) -> Script:
    """A stream of the kind that the path asks for; without `end` it breaks off."""
    if "alt=sse" in path:
        return sse([line(event) for event in said], pause_s=pause_s)
    pieces: list[bytes | float] = []
    for piece in array(said)[: None if end else -1]:
        pieces += [piece, pause_s] if pause_s else [piece]
    return Script(headers=JSON, body=tuple(pieces), framing="chunked")


def gemini(request: Received) -> Script:
    """Play Gemini."""
    path, body = request.path, request.json() if request.body else {}
    if request.method == "GET":
        listed = [{"name": f"models/{MODEL}", "displayName": "Gemini 2.5 Flash"}]
        return Script(headers=JSON, body=pretty({"models": listed}))
    if ":countTokens" in path:
        return Script(headers=JSON, body=pretty({"totalTokens": 7, "promptTokensDetails": []}))
    if ":embedContent" in path:
        answer = {"embedding": {"values": [0.5, -0.25]}, "usageMetadata": {"promptTokenCount": 4}}
        return Script(headers=JSON, body=pretty(answer))
    if ":batchEmbedContents" in path:
        embeddings = [{"values": [0.5, -0.25]} for _ in body["requests"]]
        usage = {"promptTokenCount": 4, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 4}]}
        return Script(headers=JSON, body=pretty({"embeddings": embeddings, "usageMetadata": usage}))
    said = events()
    if body.get("tools") and "functionResponse" not in request.body.decode():
        said = [response([CALL], "STOP")]
    if ":streamGenerateContent" in path:
        return stream(said, path)
    whole = response([{"text": "Hello, world!"}], "STOP") if len(said) > 1 else said[0]
    return Script(headers=JSON, body=pretty(whole))
