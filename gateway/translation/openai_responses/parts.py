"""Parts of messages and of tools' outputs: words, images, files.

Source: https://platform.openai.com/docs/api-reference/responses/create, `input` (2026-11).
"""

from __future__ import annotations

import base64
import binascii

from gateway.translation.conversation import Cache, Media, Refusal, Text
from gateway.translation.openai_responses.citations import read_citations, write_citation
from gateway.translation.openai_responses.shapes import Part, invalid

_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_NAMES = {"application/pdf": "document.pdf", "text/plain": "document.txt"}
"""Of files that nobody named: OpenAI tells by the name what is in a file's data."""


def read_part(part: Part, place: str) -> Text | Media | Refusal:
    """Read the part that stands at `place`; raise BadRequest."""
    kind = part.type
    cache = Cache() if part.prompt_cache_breakpoint else None
    if kind in _TEXTS:
        if part.text is None:
            raise invalid(f"{place}.text", "expected a string")
        return Text(part.text, cache, read_citations(part.annotations))
    if kind == "refusal":
        return Refusal(part.refusal or "")
    if kind == "input_image":
        return _read_image(part, place, cache)
    if kind == "input_file":
        return _read_file(part, place, cache)
    if kind == "input_audio" and part.input_audio is not None:
        sound = part.input_audio
        return Media(kind="audio", media_type=f"audio/{sound.format}", data=sound.data, cache=cache)
    raise invalid(
        f"{place}.type",
        f"expected input_text, output_text, refusal, input_image or input_file, but got {kind!r}",
    )


def _read_image(part: Part, place: str, cache: Cache | None) -> Media:
    detail = part.detail if part.detail and part.detail != "auto" else ""
    if part.file_id:
        return Media(kind="image", file_id=part.file_id, origin="openai", detail=detail, cache=cache)
    if not part.image_url:
        raise invalid(f"{place}.image_url", "expected a URL or a data URL, or a file_id beside it")
    media_type, data = data_of(part.image_url)
    return Media(
        kind="image",
        media_type=media_type,
        data=data,
        url="" if data else part.image_url,
        detail=detail,
        cache=cache,
    )


def _read_file(part: Part, place: str, cache: Cache | None) -> Media:
    name = part.filename or ""
    if part.file_id:
        return Media(kind="document", file_id=part.file_id, name=name, origin="openai", cache=cache)
    if part.file_url:
        return Media(kind="document", url=part.file_url, name=name, cache=cache)
    if not part.file_data:
        raise invalid(f"{place}.file_data", "expected a data URL, or a file_url or file_id beside it")
    media_type, data = data_of(part.file_data)
    if not data:
        media_type, data = "text/plain" if name.endswith(".txt") else "application/pdf", part.file_data
    text = _words(data) if media_type == "text/plain" else ""
    return Media(
        kind="document", media_type=media_type, data="" if text else data, text=text, name=name, cache=cache
    )


def _words(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def data_of(url: str) -> tuple[str, str]:
    """Return a data URL's media type and base64; empty if it is another URL."""
    if not url.startswith("data:"):
        return "", ""
    head, _, data = url.partition(";base64,")
    return (head[5:].partition(";")[0], data) if data else ("", "")


def write_text(text: Text, *, explicit_cache: bool = False) -> dict[str, object]:
    """Return the words of a user or the system."""
    part: dict[str, object] = {"type": "input_text", "text": text.text}
    if text.cache is not None and explicit_cache:
        part["prompt_cache_breakpoint"] = {"mode": "explicit"}
    return part


def write_answer(part: Text | Refusal, logprobs: list[object] | None = None) -> dict[str, object]:
    """Return the words of a model."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    annotations = [write_citation(citation, len(part.text)) for citation in part.citations]
    written: dict[str, object] = {"type": "output_text", "text": part.text, "annotations": annotations}
    if logprobs is not None:
        written["logprobs"] = logprobs
    return written


def write_media(media: Media, *, explicit_cache: bool = False) -> dict[str, object] | None:
    """Return an image or a file; None if there is no place for it."""
    if media.file_id and media.origin != "openai":
        return None
    if media.kind == "image":
        part = _image(media)
    elif media.kind == "document":
        part = _file(media)
    else:
        return None
    if media.cache is not None and explicit_cache:
        part["prompt_cache_breakpoint"] = {"mode": "explicit"}
    return part


def _image(media: Media) -> dict[str, object]:
    part: dict[str, object] = {"type": "input_image", "detail": media.detail or "auto"}
    if media.file_id:
        part["file_id"] = media.file_id
    else:
        part["image_url"] = media.url or f"data:{media.media_type or 'image/png'};base64,{media.data}"
    return part


def _file(media: Media) -> dict[str, object]:
    part: dict[str, object] = {"type": "input_file"}
    if media.file_id:
        part["file_id"] = media.file_id
    elif media.url:
        part["file_url"] = media.url
    else:
        media_type = media.media_type or ("text/plain" if media.text else "application/pdf")
        data = base64.b64encode(media.text.encode()).decode() if media.text else media.data
        part["file_data"] = f"data:{media_type};base64,{data}"
        part["filename"] = media.name or _NAMES.get(media_type, "document")
        return part
    if media.name:
        part["filename"] = media.name
    return part
