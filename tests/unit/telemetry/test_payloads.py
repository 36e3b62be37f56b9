"""What is kept of a body: no secret, not too much, and the truth about the rest."""

from __future__ import annotations

import hashlib

import pytest

from telemetry.payloads import Body, clean
from telemetry.records import Call, Payload
from telemetry.redact import OVERLAP, replace_secrets

CALL = Call(
    call_id="c",
    started_at_us=5,
    surface="openai.chat",
    project="p",
    environment="e",
    user_id="u",
    agent_id="a",
    thread_id="t",
)
SECRET = b"sk-ant-api03-" + b"Ab3" * 30


def kept(*chunks: bytes, total: int | None = None, cut_bytes: int = 1 << 20) -> Payload:
    size = sum(map(len, chunks)) if total is None else total
    return clean(CALL, Body("text/plain", chunks, size), replace_secrets, cut_bytes)


def test_a_body_without_secrets_stays_as_it_is() -> None:
    assert kept(b"high ", b"tide") == Payload(
        call_id="c",
        project="p",
        environment="e",
        started_at_us=5,
        surface="openai.chat",
        content_type="text/plain",
        body=b"high tide",
        bytes_total=9,
    )


def test_a_body_that_may_be_remembered_says_whose_it_is() -> None:
    body = Body("text/plain", [b"high tide"], 9, remember=True)
    payload = clean(CALL, body, replace_secrets, 100)
    assert (payload.remember, payload.user_id, payload.agent_id, payload.thread_id) == (True, "u", "a", "t")


def test_a_body_is_sealed_without_its_secrets_and_for_its_project() -> None:
    said = b"key: " + SECRET

    payload = clean(
        CALL,
        Body("text/plain", [said], len(said)),
        replace_secrets,
        1000,
        lambda project, plain: project.encode() + plain[::-1],
    )

    assert payload.body == b"p" + b"key: [secret:anthropic_key]"[::-1]
    assert (payload.redactions, payload.bytes_total) == (1, len(said))
    assert payload.sha256 == hashlib.sha256(said).hexdigest()


def test_a_replaced_secret_is_counted_and_the_body_has_a_digest() -> None:
    payload = kept(b"key: ", SECRET)
    assert payload.body == b"key: [secret:anthropic_key]"
    assert (payload.redactions, payload.bytes_total) == (1, 5 + len(SECRET))
    assert payload.sha256 == hashlib.sha256(b"key: " + SECRET).hexdigest()


def test_a_long_body_is_cut_between_characters_and_says_what_it_was() -> None:
    chunks = [b"x", *["é".encode() * 3000] * 4]
    payload = kept(*chunks, cut_bytes=1000)
    assert payload.body == b"".join(chunks)[:999]
    assert payload.bytes_total == 24_001
    assert payload.sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()


def test_a_body_that_was_not_kept_whole_has_no_digest() -> None:
    payload = kept(b"x" * 2000, total=3000, cut_bytes=1000)
    assert (payload.body, payload.bytes_total, payload.sha256) == (b"", 3000, "")


@pytest.mark.parametrize("after", [0, 100, 8100, 9000, 100_000])
def test_a_cut_through_a_secret_leaves_nothing_of_it(after: int) -> None:
    for cut_bytes in range(1000, 1110, 10):
        assert b"sk-ant" not in kept(b" " * 1000 + SECRET + b" " * after, cut_bytes=cut_bytes).body


def test_a_body_that_shrinks_shows_no_beginning_of_a_secret_that_was_not_looked_at_whole() -> None:
    for cut_bytes in range(20_000, 20_100, 7):
        assert b"sk-ant" not in kept((SECRET + b" ") * 1000, cut_bytes=cut_bytes).body


def test_a_secret_at_the_end_of_what_the_caller_kept_leaves_no_beginning() -> None:
    size = 2 * OVERLAP
    for shown in (6, 12, 18):
        payload = kept(b" " * (size - shown) + SECRET[:shown], total=size + 100, cut_bytes=size)
        assert b"sk-ant" not in payload.body
        assert payload.body == b" " * OVERLAP
