"""A provider's account that all keys of an installation share: files and batches of OpenAI, Anthropic and Gemini."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.fakes.passthrough import answer, binary
from tests.fakes.provider import Received, Script, refusal, sse
from tests.fakes.responses import USAGE, message, stream

CHAT_USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def output_line(index: int, *, model: str = "gpt-4o-mini-2024-07-18") -> bytes:
    """A line of a batch's output."""
    body = {"id": f"chatcmpl-{index}", "model": model, "choices": [], "usage": CHAT_USAGE}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return msgspec.json.encode(
        {"id": f"batch_req_{index}", "custom_id": str(index), "response": response, "error": None}
    )


def result_line(index: int) -> bytes:
    """A line of the results of one of Anthropic's batches."""
    message = {
        "id": f"msg_{index}",
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "usage": {"input_tokens": 1000, "output_tokens": 100},
    }
    return msgspec.json.encode({"custom_id": str(index), "result": {"type": "succeeded", "message": message}})


def gemini_answer() -> dict[str, Any]:
    """An answer in one of Gemini's batches."""
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    return {"candidates": [], "modelVersion": "gemini-2.5-flash", "usageMetadata": usage}


def gemini_batch(answers: int) -> dict[str, Any]:
    """One that is done, with its answers; https://ai.google.dev/api/batch-api (2026-11)."""
    inlined = [{"metadata": {"key": str(index)}, "response": gemini_answer()} for index in range(answers)]
    return {
        "name": "batches/b1",
        "metadata": {"state": "BATCH_STATE_SUCCEEDED"},
        "done": True,
        "response": {"inlinedResponses": {"inlinedResponses": inlined}},
    }


class Account:
    """Remembers what was made; a batch is done as soon as it is asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self._made = 0

    def __call__(self, request: Received) -> Script:
        """Answer by method and path."""
        self.asked.append(f"{request.method} {request.path}")
        path = request.path.partition("?")[0]
        if path.startswith("/v1beta/"):
            return self._gemini(request, path.removeprefix("/v1beta/"))
        path = path.removeprefix("/v1")
        parts = path.strip("/").split("/")
        if parts[0] == "messages":
            return self._messages(request, parts[2:])
        if parts[0] == "files":
            return self._files(request, parts[1:])
        if parts[0] == "responses":
            return self._responses(request, parts[1:])
        if parts[0] == "containers":
            return answer({"id": parts[1], "object": "container"})
        if parts[0] == "batches":
            return self._openai_batches(request, parts[1:])
        return refusal(404, f"nothing at {path}")

    def file(self, content: bytes) -> str:
        """Add a file."""
        self._made += 1
        name = f"file-{self._made}"
        self.files[name] = content
        return name

    def _files(self, request: Received, rest: list[str]) -> Script:
        if request.method == "POST":
            return answer(_file(self.file(b"rows")))
        if not rest:
            return answer({"object": "list", "data": [_file(name) for name in self.files], "has_more": False})
        if rest[0] not in self.files:
            return refusal(404, f"No such File object: {rest[0]}")
        if request.method == "DELETE":
            del self.files[rest[0]]
            return answer({"id": rest[0], "object": "file", "deleted": True})
        if rest[1:] == ["content"]:
            return binary(self.files[rest[0]], "application/octet-stream")
        return answer(_file(rest[0]))

    def _openai_batches(self, request: Received, rest: list[str]) -> Script:
        if request.method == "POST" and not rest:
            name = f"batch_{len(self.batches) + 1}"
            self.batches[name] = {
                "id": name,
                "object": "batch",
                "endpoint": "/v1/chat/completions",
                "input_file_id": request.json()["input_file_id"],
                "completion_window": "24h",
                "status": "validating",
                "created_at": 1,
            }
            return answer(self.batches[name])
        if not rest:
            return answer({"object": "list", "data": list(self.batches.values()), "has_more": False})
        batch = self.batches[rest[0]]
        if "output_file_id" not in batch:
            lines = [output_line(index) for index in range(3)]
            batch |= {"status": "completed", "output_file_id": self.file(b"\n".join(lines) + b"\n")}
        return answer(batch)

    def _messages(self, request: Received, rest: list[str]) -> Script:
        if rest[1:] == ["results"]:
            lines = b"\n".join(result_line(index) for index in range(3))
            return binary(lines, "application/x-jsonl")
        return answer({"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"})

    def _responses(self, request: Received, rest: list[str]) -> Script:
        """Say something by running code in a container of its own; a background one says it when it is asked again."""
        asked = request.json() if request.method == "POST" else {}
        if not rest:
            self._made += 1
        number = rest[0].rpartition("_")[2] if rest else str(self._made)
        waits = bool(asked.get("background"))
        code = {"type": "code_interpreter_call", "id": "ci_1", "container_id": f"cntr_{number}", "code": "1"}
        whole = {
            "id": f"resp_{number}",
            "object": "response",
            "model": "gpt-4o-mini",
            "status": "queued" if waits else "completed",
            "output": [] if waits else [message("2"), code],
            "usage": None if waits else USAGE,
        }
        return sse(stream(whole)) if asked.get("stream") else answer(whole)

    def _gemini(self, request: Received, place: str) -> Script:
        if place.endswith(":batchGenerateContent"):
            return answer({"name": "batches/b1", "metadata": {"state": "BATCH_STATE_PENDING"}})
        if place == "batches/b1":
            return answer(gemini_batch(3))
        if place == "cachedContents":
            return answer({"name": "cachedContents/c1", "model": "models/gemini-2.5-flash"})
        return answer(gemini_answer())


def _file(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "file",
        "bytes": 4,
        "created_at": 1,
        "filename": "rows.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
