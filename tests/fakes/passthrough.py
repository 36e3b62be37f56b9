"""A provider that plays what OpenAI, Anthropic and Gemini have besides chat, on whatever port it is given."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.fakes.provider import Received, Script, refusal, sse

SOUND = bytes(range(256)) * 40
ROWS = b'{"custom_id":"a"}\n{"custom_id":"b"}\n'
USAGE: dict[str, Any] = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1056,
    "output_tokens_details": {"text_tokens": 0, "image_tokens": 1056},
    "total_tokens": 1106,
}
PICTURE = {"created": 1, "data": [{"b64_json": "aGk="}], "usage": USAGE}
PAINTED = {"type": "image_generation.completed", "b64_json": "aGk=", "usage": USAGE}
HEARD = {
    "text": "High tide.",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
        "output_tokens": 6,
        "total_tokens": 20,
    },
}
TIMED = {"text": "High tide.", "usage": {"type": "duration", "seconds": 12}}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 3,
    "created_at": 1,
    "filename": "rows.jsonl",
    "purpose": "batch",
    "status": "processed",
}
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "status": "validating",
    "created_at": 1,
}
MESSAGE_BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-11-01T00:00:00Z",
    "expires_at": "2026-11-02T00:00:00Z",
    "ended_at": None,
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}
MODERATED = {"id": "modr-1", "model": "omni-moderation-latest", "results": []}
RANKED = {
    "id": "r-1",
    "results": [{"index": 0, "relevance_score": 0.9}],
    "meta": {"billed_units": {"search_units": 1}},
}


def answer(body: object, *headers: tuple[str, str], status: int = 200) -> Script:
    """A JSON document."""
    return Script(
        status=status,
        headers=(("content-type", "application/json"), ("x-request-id", "req_1"), *headers),
        body=msgspec.json.encode(body),
    )


def binary(body: bytes, kind: str, *headers: tuple[str, str], status: int = 200) -> Script:
    """Something that is no text."""
    return Script(status=status, headers=(("content-type", kind), *headers), body=body)


def provider(request: Received) -> Script:
    """Answer by method and path; what has no answer is refused."""
    path = request.path.partition("?")[0]
    path = path.removeprefix("/v1") if path.startswith("/v1/") else path
    found = _of_method(request, path)
    return found or refusal(404, f"nothing at {request.path}", code="unknown_url")


def _of_method(request: Received, path: str) -> Script | None:
    if request.method == "POST":
        return _made(request, path)
    if request.method == "HEAD":
        return Script(headers=(("content-length", "12345"),), framing="none")
    if request.method == "DELETE":
        if path == "/files/empty":
            return Script(status=204, headers=(), framing="none")
        return answer({"id": path.rpartition("/")[2], "object": "file", "deleted": True})
    return _got(request, path)


_MADE: dict[str, Script] = {
    "/images/generations": answer(PICTURE),
    "/audio/speech": Script(
        headers=(("content-type", "audio/mpeg"),), body=(SOUND, SOUND), framing="chunked"
    ),
    "/files": answer(FILE),
    "/upload/v1beta/files": answer(FILE),
    "/batches": answer(BATCH),
    "/messages/batches": answer(MESSAGE_BATCH),
    "/moderations": answer(MODERATED),
    "/rerank": answer(RANKED),
    "/v1beta/models/imagen-4:predict": answer({"predictions": []}),
    "/fine_tuning/jobs": refusal(
        429, "Slow down.", code="rate_limit_exceeded", headers=(("retry-after", "7"),)
    ),
}


def _made(request: Received, path: str) -> Script | None:
    if path == "/images/generations" and request.json().get("stream"):
        return sse([b"event: image_generation.completed\ndata: " + msgspec.json.encode(PAINTED) + b"\n\n"])
    if path == "/audio/transcriptions":
        return answer(TIMED if b"whisper-1" in request.body else HEARD)
    return _MADE.get(path)


def _got(request: Received, path: str) -> Script | None:
    match path:
        case "/files/file-1/content" if "range" in request.headers:
            return binary(ROWS[:5], "application/octet-stream", ("content-range", "bytes 0-4/36"), status=206)
        case "/files/file-1/content":
            return binary(ROWS, "application/jsonl")
        case "/files/moved":
            return Script(status=302, headers=(("location", "https://elsewhere.example/x"),), body=b"")
        case "/files/known" if "if-none-match" in request.headers:
            return Script(status=304, headers=(("etag", '"a"'),), framing="none")
        case "/files/slow":
            return Script(
                headers=(("content-type", "audio/mpeg"),), body=b"begun" + bytes(1000), stall_at=200
            )
        case "/files" | "/chat/completions" | "/files/a%2Fb":
            return answer({"object": "list", "data": [FILE], "has_more": False})
        case "/batches/batch_1":
            return answer(BATCH)
        case "/messages/batches/msgbatch_1":
            return answer(MESSAGE_BATCH)
        case "/v1beta/cachedContents":
            return answer({"cachedContents": []})
        case _:
            return None
