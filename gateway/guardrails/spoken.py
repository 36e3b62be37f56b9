"""Finds the words in a JSON body, whatever its API, and changes them without touching any other byte.

Said is every string but those that name, type or encode something: what a format adds tomorrow is looked at, too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from gateway.errors import BadRequest

Path = tuple[str | int, ...]

_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*"|[{}\[\],]', re.DOTALL)
_QUOTE, _OBJECT, _LIST, _COMMA = map(ord, '"{[,')

_ASKED = frozenset(
    {"messages", "system", "input", "instructions", "prompt", "suffix", "prediction", "contents", "content"}
    | {"systemInstruction", "system_instruction", "requests", "generateContentRequest"}
)
"""Where a request says something, by the fields at its top."""
_ANSWERED = frozenset(
    {"choices", "content", "content_block", "delta", "text", "output", "output_text", "item", "part"}
    | {"refusal", "arguments", "input", "response", "candidates", "code", "summary"}
)
"""Where an answer does, or an event of one."""
_MUTE = frozenset(
    {"id", "type", "role", "name", "index", "object", "model", "status", "format", "detail", "signature"}
    | {"cache_control", "encrypted_content", "thoughtSignature", "thought_signature", "finish_reason"}
    | {"finishReason", "stop_reason", "obfuscation", "usage", "instructions", "metadata", "tools"}
    | {"mime_type", "mimeType", "media_type", "data", "b64_json", "file_data", "fileUri", "file_uri"}
)
"""Fields further inside that hold no words: names of things, and bytes as text."""
_FREE = frozenset({"input", "args", "response"})
"""Fields further inside below which a tool's names stand, that may be any and mean nothing here."""
SHADOWS = frozenset({"logprobs", "logprobsResult"})
"""Fields that repeat words token by token."""
CODE = ("arguments", "partial_json")
"""Fields whose text is JSON."""
INLINE_BYTES = 16 * 1024
"""Looking for the strings of more than this takes about a millisecond: it goes to a thread."""
_decode_text = msgspec.json.Decoder(str).decode


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One string of a body: where its quotes stand, and what it says."""

    path: Path
    start: int
    end: int
    text: str

    @property
    def is_code(self) -> bool:
        """Whether it is JSON inside JSON: the arguments of a call."""
        return self.path[-1] in CODE


def asked(body: bytes) -> list[Piece]:
    """Return what a request says, in its order; raise BadRequest if a string is none."""
    return [piece for path, start, end in _strings(body) if (piece := _piece(body, _ASKED, path, start, end))]


def answered(body: bytes) -> list[Piece]:
    """Return what an answer says, or one event of it; nothing of what is no JSON."""
    try:
        return [
            piece
            for path, start, end in _strings(body)
            if (piece := _piece(body, _ANSWERED, path, start, end))
        ]
    except BadRequest:
        return []


async def spoken_in(body: bytes, find: Callable[[bytes], list[Piece]]) -> list[Piece]:
    """Find them; in a thread if there is so much of it that others would have to wait."""
    return find(body) if len(body) <= INLINE_BYTES else await asyncio.to_thread(find, body)


def changed(body: bytes, texts: Mapping[Piece, str]) -> bytes:
    """Return the body with these pieces saying something else."""
    parts: list[bytes] = []
    at = 0
    for piece in sorted(texts, key=lambda piece: piece.start):
        parts += (body[at : piece.start], msgspec.json.encode(texts[piece]))
        at = piece.end
    return b"".join((*parts, body[at:]))


def without_shadows(body: bytes) -> bytes:
    """Return the body without the fields that repeat its words token by token; they become null."""
    if not any(name.encode() in body for name in SHADOWS):
        return body
    said = msgspec.json.decode(body)
    return msgspec.json.encode(_unshadowed(said))


def _unshadowed(value: object) -> object:
    if isinstance(value, list):
        return [_unshadowed(one) for one in value]
    if isinstance(value, dict):
        return {name: None if name in SHADOWS else _unshadowed(one) for name, one in value.items()}
    return value


def _piece(body: bytes, top: frozenset[str], path: Path, start: int, end: int) -> Piece | None:
    if not _speaks(path, top):
        return None
    try:
        text = _decode_text(body[start:end])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("The body is not valid JSON: a string is not UTF-8.", code="invalid_json") from error
    if not text or text.startswith("data:"):
        return None
    return Piece(path, start, end, text)


def _speaks(path: Path, top: frozenset[str]) -> bool:
    top_field = next((step for step in path if isinstance(step, str)), "")
    if top_field not in top:
        return False
    for step in path[path.index(top_field) + 1 :]:
        if step in _FREE:
            return True
        if step in _MUTE or step in SHADOWS or (isinstance(step, str) and step.endswith(("_id", "Id"))):
            return False
    return True


def _strings(body: bytes) -> Iterator[tuple[Path, int, int]]:
    """Yield the place of every string that is a value; the body is valid JSON."""
    path: list[str | int] = []
    objects: list[bool] = []
    naming = False
    for token in _TOKENS.finditer(body):
        start = token.start()
        kind = body[start]
        if kind == _QUOTE and naming:
            path[-1] = body[start + 1 : token.end() - 1].decode("utf-8", "replace")
            naming = False
        elif kind == _QUOTE:
            yield tuple(path), start, token.end()
        elif kind in (_OBJECT, _LIST):
            naming = kind == _OBJECT
            path.append("" if naming else 0)
            objects.append(naming)
        elif kind == _COMMA:
            naming = objects[-1]
            if not naming and isinstance(place := path[-1], int):
                path[-1] = place + 1
        else:
            path.pop()
            objects.pop()
            naming = False
