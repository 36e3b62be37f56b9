from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translation.conversation import Cache, Media
from gateway.translation.openai_chat.content_in import Part, read_content


def read(part: dict[str, Any]) -> Any:
    return next(iter(read_content([msgspec.convert(part, Part)], "messages[0]")))


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,AAAA", "detail": "low"}},
            Media(kind="image", media_type="image/png", data="AAAA", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://a.example/b"}, Media(kind="image", url="https://a.example/b")),
        ({"type": "video_url", "video_url": {"url": "https://a.example/b"}}, Media(kind="video", url="https://a.example/b")),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "AAAA"}},
            Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:video/mp4;base64,AAAA"}},
            Media(kind="video", media_type="video/mp4", data="AAAA"),
        ),
        ({"type": "file", "file": {"file_data": "https://a.example/b"}}, Media(kind="document", url="https://a.example/b")),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media(kind="document", file_id="file-1", origin="openai")),
    ],
)  # fmt: skip
def test_media_are_read_from_wherever_they_are(part, media):
    assert read(part) == media
    marked = read(part | {"cache_control": {"type": "ephemeral"}})
    assert marked == msgspec.structs.replace(media, cache=Cache())


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"type": "image_url"}, "image_url.url"),
        ({"type": "image_url", "image_url": "data:image/svg+xml,%3Csvg"}, "image_url.url"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, "input_audio.format"),
        ({"type": "input_audio"}, "input_audio.data"),
        ({"type": "file"}, "file"),
        ({"type": "file", "file": {}}, "file.file_data"),
    ],
)
def test_a_part_without_its_data_is_named(part, named):
    with pytest.raises(BadRequest) as raised:
        read(part)

    assert raised.value.param == f"messages[0].content[0].{named}"
