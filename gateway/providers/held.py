"""A response that no provider keeps, asked for where it is kept: here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.errors import BadRequest, Refused
from gateway.providers.base import Headers, Origin, Outgoing, Provider
from gateway.providers.openai import refused

HERE = Origin("here", "", 0)
"""Carries what is sent straight back."""

_heads = msgspec.json.Decoder(dict[str, Any])


class HeldResponse:
    """Answers for the provider that made the response."""

    def __init__(
        self, maker: Provider, method: str, below: str, response: msgspec.Raw, items: Sequence[msgspec.Raw]
    ) -> None:
        self.name = maker.name
        self.owned_by = maker.owned_by
        self.include_usage = False
        self.speaks = maker.speaks
        self._method = method
        self._below = below
        self._response = response
        self._items = items

    def request(
        self,
        surface: str,  # noqa: ARG002 - there is but one
        headers: dict[bytes, bytes],  # noqa: ARG002 - nobody reads them
        body: bytes,  # noqa: ARG002
        *,
        secret: str,  # noqa: ARG002
        stream: bool,  # noqa: ARG002
        model: str = "",  # noqa: ARG002
        query: bytes = b"",  # noqa: ARG002
    ) -> Outgoing:
        """Return what is answered, as the body of a request to nowhere; raise BadRequest."""
        return Outgoing("GET", HERE, "", [], self._answer())

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Read a refusal; there are none."""
        return refused(self.name, status, headers, body)

    def _answer(self) -> bytes:
        if self._method == "DELETE":
            head = _heads.decode(self._response)
            return msgspec.json.encode({"id": head.get("id"), "object": "response", "deleted": True})
        if self._below == "/input_items":
            return _list(self._items)
        if self._below == "/cancel":
            raise BadRequest("Only responses created with background=true can be cancelled.")
        return bytes(self._response)


def _list(items: Sequence[msgspec.Raw]) -> bytes:
    """Return the items newest first, as OpenAI does, each with an id."""
    told = [_told(_heads.decode(item), f"item_{place}") for place, item in enumerate(items)]
    told.reverse()
    ends = (
        {"first_id": told[0]["id"], "last_id": told[-1]["id"]}
        if told
        else {"first_id": None, "last_id": None}
    )
    return msgspec.json.encode({"object": "list", "data": told, **ends, "has_more": False})


def _told(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    """Return an item as it is listed: what was said in short, at length."""
    told = {**item, "id": item.get("id") or item_id, "type": item.get("type", "message")}
    if isinstance(words := item.get("content"), str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        told["content"] = [{"type": kind, "text": words}]
    return told
