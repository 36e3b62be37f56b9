from __future__ import annotations

import pytest

from gateway.wire.preview import _WORDS, preview

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


ODD = (
    b"\xff",
    b'{"messages":[{"role":"user","content":"\xff"}]}',
    CHAT.replace(b"yes", b"\xff"),
    b"[" * 5000,
    b'{"a":' * 5000,
)


@pytest.mark.parametrize("surface", [*_WORDS, "of.nobody"])
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_bytes_that_are_no_text_are_shown_all_the_same(surface: str, content_type: str, body: bytes) -> None:
    for said in (body, b"data: " + body + b"\n\n"):
        assert preview(surface, content_type, said)
