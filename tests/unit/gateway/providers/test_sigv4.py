"""AWS's published examples.

Sources (2026-11): https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html (ListUsers) and AWS's
test suite for Signature Version 4 (get-vanilla, post-vanilla, post-x-www-form-urlencoded, get-vanilla-query-order-key-case).
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.sigv4 import Credentials, Signer
from tests.fakes.clouds import signature_by_aws

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW_US = 1_440_938_160_000_000
"""2015-08-30, 12:36:00 UTC."""
FORM = b"application/x-www-form-urlencoded"
PUBLISHED = [
    ("service", "GET", "", b"", b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("service", "POST", "", b"", b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    (
        "service", "POST", "", FORM, b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    (
        "service", "GET", "Param1=value1&Param2=value2", b"", b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "iam", "GET", "Action=ListUsers&Version=2010-05-08", FORM + b"; charset=utf-8", b"",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("service", "method", "query", "kind", "body", "signature"), PUBLISHED)
def test_published_examples_are_signed_as_published(service, method, query, kind, body, signature):
    host = "iam.amazonaws.com" if service == "iam" else "example.amazonaws.com"
    headers = [(b"content-type", kind)] if kind else []

    added = dict(
        Signer(service, "us-east-1").sign(
            method, host, "/", headers, body, credentials=EXAMPLE, now_us=NOW_US, query=query
        )
    )

    names = "content-type;host;x-amz-date" if kind else "host;x-amz-date"
    assert added[b"x-amz-date"] == b"20150830T123600Z"
    assert added[b"authorization"].decode() == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


@given(
    model=st.text("abz.:/-_~ 0%", max_size=20).map("m{}".format),
    body=st.binary(max_size=40),
    token=st.sampled_from(["", "tok/en+=="]),
    day=st.integers(0, 20_000),
)
def test_any_request_is_signed_as_awss_own_library_signs_it(model, body, token, day):
    path = f"/model/{quote(model, safe='')}/converse"
    now_us = day * 86_400_000_000
    signer = Signer("bedrock", "eu-central-1")

    added = dict(
        signer.sign(
            "POST", "b.example:8443", path, [(b"content-type", b"a  b")], body,
            credentials=Credentials("AK", "se/cret", token), now_us=now_us,
        )
    )  # fmt: skip

    theirs = signature_by_aws(
        f"https://b.example:8443{path}", "a  b", body,
        key=("AK", "se/cret", token), region="eu-central-1", moment=added[b"x-amz-date"].decode(),
    )  # fmt: skip
    assert added[b"authorization"].decode() == theirs
    assert added.get(b"x-amz-security-token", b"").decode() == token


def test_the_key_of_a_new_day_or_of_another_secret_is_another():
    signer = Signer("bedrock", "us-east-1")

    def signature(now_us: int, credentials: Credentials) -> bytes:
        headers = signer.sign("POST", "h", "/", [], b"", credentials=credentials, now_us=now_us)
        return dict(headers)[b"authorization"]

    first = signature(NOW_US, EXAMPLE)
    other = signature(NOW_US, Credentials("AKIDEXAMPLE", "another"))
    later = signature(NOW_US + 86_400_000_000, EXAMPLE)

    assert len({first, other, later}) == 3
    assert signature(NOW_US, EXAMPLE) == first
