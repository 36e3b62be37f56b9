from __future__ import annotations

import base64

import pytest

from gateway.translation.conversation import Media
from gateway.translation.gemini import media


@pytest.mark.parametrize(
    ("media_type", "uri", "read"),
    [
        ("", "https://youtu.be/x", Media(kind="video", url="https://youtu.be/x")),
        (
            "",
            "https://generativelanguage.googleapis.com/v1beta/files/x",
            Media(
                kind="document",
                file_id="https://generativelanguage.googleapis.com/v1beta/files/x",
                origin="gemini",
            ),
        ),
        ("image/png", "gs://b/x", Media(kind="image", media_type="image/png", file_id="gs://b/x", origin="gemini")),
        ("", "https://a.example/p.JPG?x=1", Media(kind="image", url="https://a.example/p.JPG?x=1")),
        ("audio/wav", "https://a.example/p", Media(kind="audio", media_type="audio/wav", url="https://a.example/p")),
    ],
)  # fmt: skip
def test_an_address_tells_who_can_read_it(media_type, uri, read):
    assert media.from_address(media_type, uri) == read
    assert media.address_of(read)[0] == uri


@pytest.mark.parametrize(
    ("medium", "media_type"),
    [
        (Media(kind="image", url="https://a.example/p.webp#x"), "image/webp"),
        (Media(kind="image", url="https://a.example/p"), "image/jpeg"),
        (Media(kind="document", data="AAAA"), "application/pdf"),
        (Media(kind="image", media_type="image/png", url="https://a.example/p.webp"), "image/png"),
    ],
)
def test_a_type_that_nobody_said_is_found_out(medium, media_type):
    assert media.type_of(medium) == media_type


def test_bytes_in_the_other_alphabet_of_base64_become_usual_ones():
    data = bytes(range(240, 256)) + b"\xff"

    read = media.from_bytes("image/png", base64.urlsafe_b64encode(data).decode().rstrip("="))

    assert read == Media(kind="image", media_type="image/png", data=base64.b64encode(data).decode())


def test_plain_text_is_read_as_text_and_anything_else_stays_bytes():
    assert media.from_bytes("text/plain", base64.b64encode("Grüße".encode()).decode()).text == "Grüße"
    assert media.from_bytes("text/plain", "//79").data == "//79"
