"""Media, by value (`inlineData`) or by address (`fileData`)."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from gateway.translation.conversation import Media
from gateway.translation.gemini.signatures import standard

Kind = Literal["image", "document", "audio", "video"]
_KINDS: dict[str, Kind] = {"image": "image", "audio": "audio", "video": "video"}
_USUAL = {"image": "image/jpeg", "document": "application/pdf", "audio": "audio/mpeg", "video": "video/mp4"}
"""Taken where nobody said a type; Google wants one and looks at the bytes itself."""
_ENDINGS = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
PLAIN = "text/plain"
_OWN = ("https://generativelanguage.googleapis.com/", "gs://")
"""Files API and Cloud Storage: only Google can read what lies there."""
_WATCHED = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")


def kind_of(media_type: str) -> Kind:
    """Return what sort of thing has this type."""
    return _KINDS.get(media_type.partition("/")[0], "document")


def type_of(media: Media) -> str:
    """Return the type of a medium, found out or guessed if it was not said."""
    if media.media_type:
        return media.media_type
    return _by_ending(media.url) or _USUAL[media.kind]


def shown(media_type: str, data: str) -> Media:
    """Read what a model painted or spoke."""
    return Media(kind=kind_of(media_type), media_type=media_type, data=standard(data))


def from_bytes(media_type: str, data: str, name: str = "") -> Media:
    """Read `inlineData`; plain text becomes text."""
    data = standard(data)
    if media_type == PLAIN:
        try:
            text = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if text:
            return Media(kind="document", media_type=PLAIN, text=text, name=name)
    return Media(kind=kind_of(media_type), media_type=media_type, data=data, name=name)


def from_address(media_type: str, uri: str, name: str = "") -> Media:
    """Read `fileData`."""
    if uri.startswith(_WATCHED):
        return Media(kind="video", media_type=media_type, url=uri, name=name)
    kind = kind_of(media_type or _by_ending(uri))
    if uri.startswith(_OWN):
        return Media(kind=kind, media_type=media_type, file_id=uri, origin="gemini", name=name)
    return Media(kind=kind, media_type=media_type, url=uri, name=name)


def address_of(media: Media) -> tuple[str, str | None]:
    """Return where a medium is and its type, which Google knows for itself of its own files and of YouTube's."""
    if media.file_id or media.url.startswith(_WATCHED):
        return media.file_id or media.url, media.media_type or None
    return media.url, type_of(media)


def bytes_of(media: Media) -> tuple[str, str]:
    """Return base64 and type of a medium that is here."""
    if media.text:
        return base64.b64encode(media.text.encode("utf-8", "surrogatepass")).decode(), PLAIN
    return media.data, type_of(media)


def _by_ending(uri: str) -> str:
    path = uri.partition("?")[0].partition("#")[0]
    return _ENDINGS.get(path.rpartition(".")[2].lower(), "")
