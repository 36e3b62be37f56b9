"""Where in a message pictures stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MOST_PICTURES = 4
"""Of one message."""
MAX_URL = 1_500_000
"""Characters; a longer one is left out."""
_SCHEMES = ("https://", "http://", "data:image/")


def pictures_in(content: object) -> list[str]:
    """Return the URLs (of data, too) of the pictures in a message's content, as OpenAI and Anthropic write them."""
    if not isinstance(content, list):
        return []
    urls = (url for part in content if isinstance(part, dict) for url in _urls(part))
    return [url for url in urls if url.startswith(_SCHEMES) and len(url) <= MAX_URL][:MOST_PICTURES]


def pictures_of(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the URLs of all pictures that users show."""
    users = (message for message in messages if message.get("role", "user") == "user")
    return [url for message in users for url in pictures_in(message.get("content"))]


def _urls(part: Mapping[str, Any]) -> Iterator[str]:
    given = part.get("image_url")
    url = given.get("url") if isinstance(given, dict) else given
    source = part.get("source")
    if isinstance(url, str):
        yield url
    elif part.get("type") == "image" and isinstance(source, dict):
        data, media = source.get("data"), source.get("media_type", "image/png")
        whole = f"data:{media};base64,{data}" if isinstance(data, str) else source.get("url")
        if isinstance(whole, str):
            yield whole
