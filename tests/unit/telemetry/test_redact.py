"""Secrets go, everything else stays, and JSON stays JSON."""

from __future__ import annotations

import base64
import random
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.redact import OVERLAP, WINDOW, replace_secrets

# made of a repeated phrase, so that no scanner of repositories takes them for real ones
FILL = "Ab3dEf6hIj9" * 20
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + f"{FILL[:64]}\n" * 20 + "AbCd==\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "sk-" + FILL[:48]: "api_key",
    "sk-proj-" + FILL[:60] + "_-x": "api_key",
    "sk-ant-" + "api03-" + FILL[:93] + "AA": "anthropic_key",
    "sk-or-" + "v1-" + "0123456789abcdef" * 4: "openrouter_key",
    "tg-" + FILL[:43]: "tidegate_key",
    "gsk_" + FILL[:52]: "api_key",
    "xai-" + FILL[:80]: "api_key",
    "AKIA" + "ABCDEFGH23456789": "aws_key_id",
    "ASIA" + "ABCDEFGHIJKLMNOP": "aws_key_id",
    "ghp_" + FILL[:36]: "github_token",
    "gho_" + FILL[:36]: "github_token",
    "github_pat_" + FILL[:22] + "_" + FILL[:59]: "github_token",
    "xox" + "b-123456789012-1234567890123-" + FILL[:24]: "slack_token",
    "xapp-" + "1-A012-345-" + FILL[:30]: "slack_token",
    "AIza" + FILL[:35]: "google_key",
    "glpat-" + FILL[:20]: "gitlab_token",
    "hf_" + FILL[:34]: "huggingface_token",
    "sk_" + "live_" + FILL[:24]: "stripe_key",
    "rk_" + "test_" + FILL[:24]: "stripe_key",
    "whsec_" + FILL[:32]: "stripe_key",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + FILL[:43]: "jwt",
    PEM: "private_key",
}
INSIDE = {
    "Authorization: Bearer " + FILL[:30]: ("Authorization: Bearer ", "bearer_token"),
    "authorization: Basic " + base64.b64encode(b"ann:pw1").decode(): (
        "authorization: Basic ",
        "basic_credentials",
    ),
    "https://hooks.slack.com/services/T0/B0/" + FILL[:24]: ("https://", "slack_webhook"),
}
ANY_SECRET = st.sampled_from([*SECRETS, *INSIDE])
ROUND = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


@pytest.mark.parametrize(
    ("secret", "kind"), SECRETS.items(), ids=[f"{k}-{s[:8]}" for s, k in SECRETS.items()]
)
def test_each_shape_is_replaced_in_text_and_in_json(secret: str, kind: str) -> None:
    assert replace_secrets(secret.encode()) == (f"[secret:{kind}]".encode(), 1)
    body = {"messages": [{"content": f"my key:\n{secret}\tis this, é{secret}. \\{secret}"}]}
    found, count = replace_secrets(encoded(body))
    cleaned = msgspec.json.decode(found)
    assert count >= 2
    assert cleaned["messages"][0]["content"].startswith(
        f"my key:\n[secret:{kind}]\tis this, é[secret:{kind}]. \\"
    )


@pytest.mark.parametrize(("text", "expected"), INSIDE.items())
def test_what_stands_before_a_secret_stays(text: str, expected: tuple[str, str]) -> None:
    before, kind = expected
    assert replace_secrets(f"x {text} y".encode()) == (f"x {before}[secret:{kind}] y".encode(), 1)
    assert msgspec.json.decode(replace_secrets(encoded([f"a\n{text}\n"]))[0]) == [
        f"a\n{before}[secret:{kind}]\n"
    ]


def test_only_the_password_of_a_url_goes() -> None:
    url = b'{"dsn":"postgres://app:hunter2@db.example:5432/main"}'
    assert replace_secrets(url) == (b'{"dsn":"postgres://app:[secret:url_password]@db.example:5432/main"}', 1)
    assert replace_secrets(rb"redis:\/\/:pw@h")[0] == rb"redis:\/\/:[secret:url_password]@h"


def test_a_secret_access_key_is_known_by_its_name() -> None:
    secret = "abc/EFGH+ijkl0123456" * 2
    for text in (f'{{"SecretAccessKey": "{secret}"}}', f"aws_secret_access_key = {secret}\n"):
        assert replace_secrets(text.encode()) == (text.replace(secret, "[secret:aws_secret]").encode(), 1)
    escaped = encoded({"text": f'{{"SecretAccessKey":"{secret}"}}'})
    assert (
        msgspec.json.decode(replace_secrets(escaped)[0])["text"]
        == '{"SecretAccessKey":"[secret:aws_secret]"}'
    )


def test_a_private_key_is_found_however_often_its_newlines_are_escaped() -> None:
    once = encoded({"key": PEM})
    twice = encoded({"text": once.decode()})
    for body in (once, twice):
        found, count = replace_secrets(body)
        assert count == 1
        assert b"Ab3d" not in found
        msgspec.json.decode(found)


def test_a_private_key_that_was_cut_off_goes_as_well() -> None:
    assert replace_secrets(PEM[:500].encode()) == (b"[secret:private_key]", 1)
    assert replace_secrets(PEM[:500].encode() + rb"\u00e4") == (rb"[secret:private_key]\u00e4", 1)


@pytest.mark.parametrize(
    "text",
    [
        "a task-management-system-for-2024-and-later, risk-free",
        "sk-learn-is-a-library-of-many-words",
        "the bearer of this letter; basic features and Basic information",
        "https://example.com:8080/a@b and mail me: ann@example.com",
        "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT call_abcdefghijklmnop1234567890",
        "prompt_tokens_details completion_tokens_details gpt-4.1-mini-2025-04-14",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUZ\n-----END CERTIFICATE-----",
        "the AKIA prefix, ghp_ tokens, eyJ and xoxb- in a text about secrets",
        "",
        "\\",
        "[secret:api_key]",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert replace_secrets(text.encode()) == (text.encode(), 0)
    body = encoded([text])
    assert replace_secrets(body) == (body, 0)


def test_a_json_escape_is_not_torn_apart() -> None:
    body = b'{"a":"x\\tg-' + FILL[:43].encode() + b'"}'  # a tab, then "g-..."
    assert msgspec.json.decode(replace_secrets(body)[0])["a"].startswith("x\t")


@given(st.lists(st.one_of(ANY_SECRET, ROUND), max_size=8))
@settings(deadline=None, max_examples=300)
def test_json_stays_json_and_a_second_pass_finds_nothing(parts: list[str]) -> None:
    body = encoded({"k": ["".join(parts), " ".join(parts), encoded(" ".join(parts)).decode()]})
    once, count = replace_secrets(body)
    msgspec.json.decode(once)
    assert replace_secrets(once) == (once, 0)
    assert (count == 0) == (once == body)
    assert count > 0 or not any(part in SECRETS for part in parts)


@given(st.sampled_from([*SECRETS]), st.integers(min_value=-400, max_value=20))
@settings(deadline=None, max_examples=150)
def test_a_secret_across_the_border_of_a_window_is_found(secret: str, shift: int) -> None:
    for border in (WINDOW, WINDOW + OVERLAP, 2 * WINDOW):
        before = b"some words " * (border // 11 + 1)
        body = before[: border + shift] + b" " + secret.encode() + b" and more" * 9000
        found, count = replace_secrets(body)
        assert count == 1
        assert found == body.replace(secret.encode(), f"[secret:{SECRETS[secret]}]".encode())


def test_many_secrets_in_a_long_body_are_all_found() -> None:
    chosen = random.Random(7).choices([*SECRETS], k=400)
    words = "some ordinary words of a long conversation " * 12
    body = words.join(f" {secret} " for secret in chosen).encode()
    found, count = replace_secrets(body)
    assert count == 400
    assert not any(secret.encode() in found for secret in SECRETS)


@pytest.mark.parametrize(
    "unit",
    [
        b"-eyJ",
        b"-----eyJ",
        b".eyJ",
        b"sk-",
        b"-sk-a",
        b"://a:",
        b"Bearer ",
        b"tg-",
        b"-----BEGIN PRIVATE KEY-----",
        b"\\",
        b"basic aaaaaaa@",
    ],
)
def test_no_body_is_slow(unit: bytes) -> None:
    began = time.thread_time()
    replace_secrets(unit * (1_000_000 // len(unit)))
    assert time.thread_time() - began < 3  # a quadratic pattern takes minutes
