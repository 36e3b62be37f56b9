"""Reads the parts of a client's messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from gateway.errors import BadRequest
from gateway.translation.conversation import Cache, Media, Refusal, Text
from gateway.wire.openai_body import missing

Said = Text | Media | Refusal
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_SUPPORTED = "'text', 'image_url', 'input_audio', 'file', 'video_url', 'refusal'"
AUDIO = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}
"""Names of formats that are no subtypes of audio."""


class CacheControl(msgspec.Struct):
    """Anthropic's mark, which OpenRouter and LiteLLM take in OpenAI's bodies."""

    ttl: str | None = None

    def cache(self) -> Cache:
        """Return what it says."""
        return Cache(self.ttl or "")


class _Url(msgspec.Struct):
    url: str = ""
    detail: str | None = None


class _Audio(msgspec.Struct):
    data: str = ""
    format: str = ""


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """One part of a message's content."""

    type: str
    text: str | None = None
    image_url: _Url | str | None = None
    video_url: _Url | str | None = None
    input_audio: _Audio | None = None
    file: _File | None = None
    refusal: str | None = None
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: Any = None
    """OpenAI's own mark, without a time to live."""

    def cache(self) -> Cache | None:
        """Return the cache point that stands here."""
        if self.cache_control is not None:
            return self.cache_control.cache()
        return Cache() if self.prompt_cache_breakpoint else None


def read_content(content: str | list[Part] | None, place: str) -> Iterator[Said]:
    """Read a message's content; empty words are none."""
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for index, part in enumerate(content or ()):
        said = _read_part(part, f"{place}.content[{index}]")
        if said is not None:
            yield said


def _read_part(part: Part, place: str) -> Said | None:
    match part.type:
        case "text":
            return Text(part.text, part.cache()) if part.text else None
        case "refusal":
            return Refusal(part.refusal) if part.refusal else None
        case "image_url":
            return _at_url("image", part.image_url, part.cache(), f"{place}.image_url")
        case "video_url":
            return _at_url("video", part.video_url, part.cache(), f"{place}.video_url")
        case "input_audio":
            return _audio(part.input_audio, part.cache(), f"{place}.input_audio")
        case "file":
            return _file(part.file, part.cache(), f"{place}.file")
        case _:
            raise BadRequest(
                f"Invalid value: '{part.type[:64]}'. Supported values are: {_SUPPORTED}.",
                code="invalid_value",
                param=f"{place}.type",
            )


def _at_url(
    kind: Literal["image", "video"], said: _Url | str | None, cache: Cache | None, place: str
) -> Media:
    if isinstance(said, str):
        said = _Url(said)
    if said is None or not said.url:
        raise missing(f"{place}.url")
    detail = said.detail or ""
    if said.url[:5].lower() != "data:":
        return Media(kind=kind, url=said.url, detail=detail, cache=cache)
    media_type, data = split_data_url(said.url, f"{place}.url")
    return Media(kind=kind, media_type=media_type, data=data, detail=detail, cache=cache)


def split_data_url(url: str, place: str) -> tuple[str, str]:
    """Return a data URL's media type and its base64."""
    found = _DATA_URL.match(url)
    if found is None:
        raise BadRequest(
            f"Invalid '{place}': a data URL must look like data:image/png;base64,... .",
            code="invalid_value",
            param=place,
        )
    return found[1].lower(), url[found.end() :]


def _audio(said: _Audio | None, cache: Cache | None, place: str) -> Media:
    if said is None or not said.data:
        raise missing(f"{place}.data")
    if not said.format:
        raise missing(f"{place}.format")
    media_type = AUDIO.get(said.format, f"audio/{said.format}")
    return Media(kind="audio", media_type=media_type, data=said.data, cache=cache)


def _file(said: _File | None, cache: Cache | None, place: str) -> Media:
    """Read a file; OpenRouter takes a URL for `file_data`, and plain base64 is met, too."""
    if said is None:
        raise missing(place)
    name = said.filename or ""
    if said.file_id:
        return Media(kind="document", file_id=said.file_id, name=name, origin="openai", cache=cache)
    data = said.file_data
    if not data:
        raise missing(f"{place}.file_data")
    if data.startswith(("https://", "http://")):
        return Media(kind="document", url=data, name=name, cache=cache)
    media_type = "application/pdf" if name.lower().endswith(".pdf") else ""
    if data[:5].lower() == "data:":
        media_type, data = split_data_url(data, f"{place}.file_data")
    return Media(kind=_kind_of(media_type), media_type=media_type, data=data, name=name, cache=cache)


def _kind_of(media_type: str) -> Literal["image", "document", "audio", "video"]:
    match media_type.partition("/")[0]:
        case "image" | "audio" | "video" as kind:
            return kind
        case _:
            return "document"
