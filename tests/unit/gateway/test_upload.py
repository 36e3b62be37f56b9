from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from gateway.asgi import Client
from gateway.errors import BadRequest, TooSlow
from gateway.upload import Upload, upload_of

FORM = {b"content-type": b"multipart/form-data; boundary=b", b"content-length": b"12"}


class Caller:
    """A client whose body comes in these parts, and then stops, ends or leaves."""

    def __init__(self, parts: Sequence[bytes], *, end: str = "whole") -> None:
        self._parts = list(parts)
        self._end = end
        self.over = False

    async def part(self) -> tuple[bytes, bool]:
        if self._parts:
            return self._parts.pop(0), not self._parts and self._end == "whole"
        if self._end == "silence":
            await asyncio.Event().wait()
        self.over = True
        return b"", False


def upload(parts: Sequence[bytes], headers: dict[bytes, bytes] = FORM, *, end: str = "whole") -> Upload:
    return Upload(cast("Client", Caller(parts, end=end)), headers, silence_s=0.05)


async def test_parts_come_as_they_are_and_are_counted() -> None:
    body = upload([b"abc", b"", b"defg"])

    assert [part async for part in body] == [b"abc", b"defg"]
    assert (body.size, body.length, body.content_type) == (7, 12, "multipart/form-data")


async def test_a_client_that_leaves_or_falls_silent_ends_it() -> None:
    with pytest.raises(BadRequest) as left:
        [part async for part in upload([b"abc"], end="leaves")]
    with pytest.raises(TooSlow, match=r"server\.body_timeout_s"):
        [part async for part in upload([b"abc"], end="silence")]
    assert left.value.code == "client_left"


@pytest.mark.parametrize("size", [1, 13, 1000])
async def test_the_model_of_a_form_is_noticed(size: int) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n'
        b'--b\r\nContent-Disposition: form-data; name="model"\r\nContent-Type: text/plain\r\n\r\nwhisper-1\r\n--b--'
    )
    body = upload([form[at : at + size] for at in range(0, len(form), size)])

    assert b"".join([part async for part in body]) == form
    assert body.model == "whisper-1"


async def test_a_model_deep_in_a_form_or_in_something_else_is_not() -> None:
    form = b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    late = upload([b"x" * 70_000, form])
    other = upload([form], {b"content-type": b"audio/wav"})

    assert [len(part) async for part in late] == [70_000, len(form)]
    assert [part async for part in other] == [form]
    assert (late.model, other.model, other.length) == ("", "", None)


@pytest.mark.parametrize(
    ("headers", "streams"),
    [
        ({}, False),
        ({b"content-length": b"0"}, False),
        ({b"content-length": b"5", b"content-type": b"application/json; charset=utf-8"}, False),
        ({b"transfer-encoding": b"chunked", b"content-type": b"application/vnd.x+json"}, False),
        ({b"content-length": b"5"}, True),
        (FORM, True),
        ({b"transfer-encoding": b"chunked", b"content-type": b"audio/wav"}, True),
        ({b"content-length": b"5", b"content-type": b"application/json", b"content-encoding": b"gzip"}, True),
    ],
)
def test_what_is_no_json_is_not_read(headers: dict[bytes, bytes], *, streams: bool) -> None:
    assert (upload_of(cast("Client", Caller([])), headers, silence_s=1) is not None) is streams
