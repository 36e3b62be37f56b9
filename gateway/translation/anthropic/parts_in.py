"""Reads the blocks of messages into parts."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from gateway.errors import BadRequest
from gateway.translation.anthropic import citations
from gateway.translation.anthropic.blocks import Block, CacheControl, Citing, Source
from gateway.translation.conversation import (
    Cache,
    Media,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.signatures import unseal
from gateway.wire import openai_body

T = TypeVar("T")

_sources = msgspec.json.Decoder(Source)
_contents = msgspec.json.Decoder(str | list[Block])
_citing = msgspec.json.Decoder(Citing)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING = (b"", b"null")
_THOUGHTS = ("thinking", "redacted_thinking")
"""With no place of their own: they carry the signature of the next call."""


class Parts:
    """Reads the blocks of one conversation, in their order; notes what has no place in it."""

    def __init__(self) -> None:
        self.others: list[str] = []
        self.hints: list[str] = []
        self._names: dict[str, str] = {}
        """Of the functions, by the id of the call."""
        self._seal = ("", "")
        """Signature and family for the call that comes next."""

    def read(self, content: str | list[Block] | None, path: str) -> tuple[Part, ...]:
        """Read the content of a message at `path`; raise BadRequest naming what is wrong."""
        if content is None:
            raise openai_body.missing(path)
        if isinstance(content, str):
            return (Text(content),)
        parts: list[Part] = []
        for index, block in enumerate(content):
            place = f"{path}[{index}]"
            part = self.part(block, place)
            if part is not None:
                parts.append(part)
            elif block.type not in _THOUGHTS:
                self.others.append(place)
        return tuple(parts)

    def part(self, block: Block, path: str) -> Part | None:
        """Read one block; None if it has no place."""
        match block.type:
            case "text":
                return text_of(block, path)
            case "image" | "document":
                return self._media(block, path)
            case "thinking" | "redacted_thinking":
                return self._thinking(block)
            case "tool_use":
                return self._call(block, path)
            case "tool_result":
                return self._result(block, path)
            case "":
                raise openai_body.missing(f"{path}.type")
            case _:
                return None

    def _media(self, block: Block, path: str) -> Media | None:
        if not given(block.source):
            raise openai_body.missing(f"{path}.source")
        source = inner(_sources, block.source, f"{path}.source")
        if block.context:
            self.others.append(f"{path}.context")
        if given(block.transformations):
            self.hints.append(f"{path}.transformations")
        text, data = "", source.data or ""
        if source.type == "text":
            text, data = data, ""
        elif source.type == "content":
            found = _words(source.content)
            if found is None:
                return None
            text = found
        if not (text or data or source.url or source.file_id):
            raise BadRequest(
                f"Invalid '{path}.source': it needs data, url, file_id or content, as its type says.",
                code="invalid_value",
                param=f"{path}.source",
            )
        return Media(
            kind="image" if block.type == "image" else "document",
            media_type=source.media_type or ("text/plain" if text else ""),
            data=data,
            url=source.url or "",
            file_id=source.file_id or "",
            text=text,
            name=block.title or "",
            cite=given(block.citations) and inner(_citing, block.citations, f"{path}.citations").enabled,
            origin="anthropic" if source.file_id else "",
            cache=cache_of(block.cache_control),
        )

    def _thinking(self, block: Block) -> Thinking | None:
        hidden = block.type == "redacted_thinking"
        signature, origin, of_call = unseal((block.data if hidden else block.signature) or "", "anthropic")
        if of_call:
            self._seal = (signature, origin)
            return None
        return Thinking(text=block.thinking or "", signature=signature, hidden=hidden, origin=origin)

    def _call(self, block: Block, path: str) -> ToolCall:
        arguments = "{}"
        if given(block.input):
            arguments = object_text(block.input, f"{path}.input")
        name, made = block.name or "", block.id or ""
        self._names[made] = name
        call = ToolCall(id=made, name=name, arguments=arguments, cache=cache_of(block.cache_control))
        if self._seal[0]:
            (signature, origin), self._seal = self._seal, ("", "")
            return msgspec.structs.replace(call, signature=signature, origin=origin)
        return call

    def _result(self, block: Block, path: str) -> ToolResult:
        if block.tool_use_id is None:
            raise openai_body.missing(f"{path}.tool_use_id")
        parts: tuple[Part, ...] = ()
        if given(block.content):
            content = inner(_contents, block.content, f"{path}.content")
            parts = self.read(content, f"{path}.content")
        kept = tuple(part for part in parts if isinstance(part, Text | Media))
        if len(kept) < len(parts):
            self.others.append(f"{path}.content")
        return ToolResult(
            id=block.tool_use_id,
            name=self._names.get(block.tool_use_id, ""),
            parts=kept,
            failed=bool(block.is_error),
            cache=cache_of(block.cache_control),
        )


def text_of(block: Block, path: str) -> Text:
    """Read words, which are cited as a whole."""
    if block.text is None:
        raise openai_body.missing(f"{path}.text")
    if not given(block.citations):
        return Text(block.text, cache_of(block.cache_control))
    raws = inner(_lists, block.citations, f"{path}.citations")
    found = (citations.read(raw, 0, len(block.text)) for raw in raws)
    return Text(
        block.text,
        cache_of(block.cache_control),
        tuple(citation for citation in found if citation is not None),
    )


def cache_of(control: CacheControl | None) -> Cache | None:
    """Read where to cache up to."""
    return Cache(control.ttl or "") if control is not None else None


def given(raw: msgspec.Raw) -> bool:
    """Say whether there is something, and not null."""
    return bytes(raw) not in _NOTHING


def inner(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw, path: str) -> T:
    """Decode what stands at `path`; raise BadRequest naming it."""
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"Invalid type for '{path}': {error}.", code="invalid_type", param=path) from error


def object_text(raw: msgspec.Raw, path: str) -> str:
    """Return the text of a JSON object; raise BadRequest if it is none."""
    said = bytes(raw)
    if not said.startswith(b"{"):
        raise BadRequest(f"Invalid type for '{path}': expected an object.", code="invalid_type", param=path)
    try:
        return said.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"'{path}' is not UTF-8.", code="invalid_json", param=path) from error


def _words(content: str | list[Block] | None) -> str | None:
    """Return the text of a document that is made of blocks; None if not all of them are text."""
    if content is None or isinstance(content, str):
        return content or ""
    if any(block.type != "text" for block in content):
        return None
    return "\n\n".join(block.text or "" for block in content)
