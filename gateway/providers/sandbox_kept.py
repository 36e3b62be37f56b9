"""The sandbox's kept responses. It keeps nothing: the id of a response holds the request it answers."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import msgspec

from gateway.errors import BadRequest, UnknownResponse
from gateway.providers.sandbox_responses import Response, input_items, response
from gateway.providers.sandbox_script import Script, digest, script_of

_LONGEST = 900
"""Characters of an id; the request of a longer one is forgotten."""
_MOST_BYTES = 64 * 1024
_KEPT, _FORGOTTEN = "resp_1", "resp_0"

_bodies = msgspec.json.Decoder(dict[str, Any])


def id_of(body: bytes) -> str:
    """Return the id of the response to this request."""
    if len(body) <= _MOST_BYTES:
        packed = base64.urlsafe_b64encode(zlib.compress(body, 9)).decode().rstrip("=")
        if len(packed) <= _LONGEST:
            return _KEPT + packed
    return _FORGOTTEN + digest(body)[:48]


def request_of(response_id: str) -> bytes:
    """Return the request that a response answers; raise UnknownResponse."""
    packed = response_id.removeprefix(_KEPT)
    try:
        zipped = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        return zlib.decompressobj().decompress(zipped, _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise _unknown(response_id) from error


def answer(method: str, place: str) -> tuple[bytes, Iterator[bytes] | None]:
    """Return what is answered at a place below `/responses/`: a document, or the events of a stream."""
    path, _, query = place.partition("?")
    response_id, _, below = path.partition("/")
    body = request_of(response_id)
    try:
        said = _bodies.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unknown(response_id) from error
    asked = parse_qs(query)
    if method == "DELETE":
        return msgspec.json.encode({"id": response_id, "object": "response", "deleted": True}), None
    if below == "input_items":
        return _list(input_items(said, body), descending=asked.get("order") != ["asc"]), None
    found = _again(said, body, response_id)
    if below == "cancel":
        if not found.asked["background"]:
            raise BadRequest("Cannot cancel a synchronous response.")
        return msgspec.json.encode(found.at("cancelled")), None
    if asked.get("stream") == ["true"]:
        said_after = asked.get("starting_after", [""])[0]
        after = int(said_after) if said_after.isdecimal() else -1
        events = found.events(include_usage=False, chunks=None)
        return b"", (event for i, event in enumerate(events) if i > after)
    return msgspec.json.encode(found.at(found.final)), None


def _again(said: dict[str, Any], body: bytes, response_id: str) -> Response:
    model = str(said.get("model", "")).removeprefix("sandbox/")
    script = script_of(model, said)
    told = Script(text=script.text, usage=script.usage, tool_calls=script.tool_calls)
    return response(model, said, told, body, response_id)


def _list(items: list[dict[str, Any]], *, descending: bool) -> bytes:
    items = items[::-1] if descending else items
    return msgspec.json.encode(
        {
            "object": "list",
            "data": items,
            "first_id": items[0]["id"] if items else None,
            "last_id": items[-1]["id"] if items else None,
            "has_more": False,
        }
    )


def _unknown(response_id: str) -> UnknownResponse:
    return UnknownResponse(f"Response with id '{response_id}' not found.")
