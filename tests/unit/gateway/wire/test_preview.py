from __future__ import annotations

import pytest

from gateway.wire.preview import preview

CHAT = b'{"choices": [{"message": {"role": "assistant", "content": "yes"}}]}'
MESSAGE = b'{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"yes"}]}'


@pytest.mark.parametrize(
    ("surface", "body"),
    [("openai.chat", CHAT), ("anthropic.messages", MESSAGE), ("of.nobody", CHAT)],
)
def test_a_body_is_read_as_its_surface_wrote_it(surface: str, body: bytes) -> None:
    assert preview(surface, "application/json", body) == "yes"


def test_what_has_no_words_shows_its_beginning() -> None:
    assert (
        preview("anthropic.count_tokens", "application/json", b'{"input_tokens":14}') == '{"input_tokens":14}'
    )
    assert preview("anthropic.messages", "", b"\xff" + b"x" * 9999) == "\ufffd" + "x" * 299
