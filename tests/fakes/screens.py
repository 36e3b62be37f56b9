"""Streams of every chat API that say a given text, and the text that such a stream says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from typing import Any

import msgspec


def cut(text: str, sizes: Iterable[int]) -> Iterator[str]:
    """Yield the text in parts of these sizes, over and over."""
    at = 0
    for size in cycle(sizes):
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size


class Surface(msgspec.Struct, frozen=True):
    """One API: its events for a part of a text, and for the end."""

    name: str
    part: Callable[[str, int], dict[str, Any]]
    ends: tuple[bytes, ...]
    read: Callable[[dict[str, Any], int], str]
    named: bool = False

    def stream(self, text: str, sizes: Iterable[int], *, number: int = 0) -> list[bytes]:
        """Return events that say the text in parts."""
        return self.pieces(cut(text, sizes), number=number)

    def pieces(self, parts: Iterable[str], *, number: int = 0) -> list[bytes]:
        """Return one event for each part, and the end."""
        return [*(self._event(self.part(part, number)) for part in parts), *self.ends]

    def _event(self, said: dict[str, Any]) -> bytes:
        head = f"event: {said['type']}\n".encode() if self.named else b""
        return head + b"data: " + msgspec.json.encode(said) + b"\n\n"


def spoken(surface: Surface, stream: bytes, *, number: int = 0) -> str:
    """Return what a stream says."""
    parts = []
    for event in stream.split(b"\n\n"):
        data = b"".join(line[6:] for line in event.split(b"\n") if line.startswith(b"data: "))
        if data.startswith(b"{"):
            parts.append(surface.read(msgspec.json.decode(data), number))
    return "".join(parts)


def _chat(part: str, number: int) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": number, "delta": {"content": part}, "finish_reason": None}]}


def _chat_text(said: dict[str, Any], number: int) -> str:
    return "".join(
        one["delta"].get("content") or "" for one in said.get("choices", ()) if one["index"] == number
    )


def _completion(part: str, number: int) -> dict[str, Any]:
    return {"id": "c", "choices": [{"text": part, "index": number}]}


def _completion_text(said: dict[str, Any], number: int) -> str:
    return "".join(one["text"] for one in said["choices"] if one["index"] == number)


def _block(part: str, number: int) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": number, "delta": {"type": "text_delta", "text": part}}


def _block_text(said: dict[str, Any], number: int) -> str:
    return said["delta"]["text"] if said["type"] == "content_block_delta" and said["index"] == number else ""


def _response(part: str, number: int) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": number, "content_index": 0, "delta": part}


def _response_text(said: dict[str, Any], number: int) -> str:
    return said["delta"] if said["type"].endswith(".delta") and said["output_index"] == number else ""


def _candidate(part: str, number: int) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": part}], "role": "model"}, "index": number}]}


def _candidate_text(said: dict[str, Any], number: int) -> str:
    return "".join(
        part["text"]
        for one in said["candidates"]
        if one["index"] == number
        for part in one.get("content", {}).get("parts", ())
    )


DONE = b"data: [DONE]\n\n"
_FINISH = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
_STOPS = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
_LAST = b'data: {"candidates":[{"finishReason":"STOP","index":0}]}\n\n'
SURFACES = (
    Surface("chat", _chat, (_FINISH, DONE), _chat_text),
    Surface("completions", _completion, (DONE,), _completion_text),
    Surface("anthropic", _block, _STOPS, _block_text, named=True),
    Surface("responses", _response, (), _response_text, named=True),
    Surface("gemini", _candidate, (_LAST,), _candidate_text),
)
