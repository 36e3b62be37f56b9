from __future__ import annotations

import pytest

from gateway.providers.base import Provider
from gateway.providers.bedrock import Bedrock
from tests.fakes.clouds import signature_by_aws

NOW_US = 1_440_938_160_000_000
MODEL = "us.anthropic.claude-sonnet-4-20250514-v1:0"


def bedrock(base_url: str = "", region: str = "") -> Bedrock:
    return Bedrock("bedrock", base_url, region=region, now_us=lambda: NOW_US)


def asked(
    provider: Provider, secret: str, *, stream: bool = False, model: str = MODEL
) -> tuple[str, dict[bytes, bytes]]:
    client = {b"authorization": b"Bearer tg-mine", b"x-api-key": b"mine", b"user-agent": b"x"}
    outgoing = provider.request("bedrock.converse", client, b"{}", secret=secret, stream=stream, model=model)
    return outgoing.path, dict(outgoing.headers)


def test_the_model_stands_in_the_path_as_aws_wants_it():
    assert asked(bedrock(), "k")[0] == "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse"
    assert (
        asked(bedrock(), "k", stream=True, model="arn:aws:x/y")[0]
        == "/model/arn%3Aaws%3Ax%2Fy/converse-stream"
    )


@pytest.mark.parametrize("token", ["", "a/token=="])
def test_a_pair_of_keys_signs(token):
    secret = ":".join(["AK", "se/cret", *([token] if token else [])])

    path, headers = asked(bedrock(region="eu-central-1"), secret)

    url = f"https://bedrock-runtime.eu-central-1.amazonaws.com{path}"
    assert headers[b"authorization"].decode() == signature_by_aws(
        url, "application/json", b"{}", key=("AK", "se/cret", token), region="eu-central-1", moment="20150830T123600Z"
    )  # fmt: skip
    assert headers.get(b"x-amz-security-token", b"").decode() == token


def test_an_api_key_is_sent_as_it_is_and_nothing_of_the_clients_leaves():
    _, headers = asked(bedrock(), "bedrock-api-key-abc")

    assert headers == {
        b"content-type": b"application/json",
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer bedrock-api-key-abc",
    }
    assert b"authorization" not in asked(bedrock(), "")[1]


@pytest.mark.parametrize(
    ("base_url", "region", "host", "found"),
    [
        ("", "", "bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("", "ap-southeast-2", "bedrock-runtime.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("https://bedrock-runtime.us-gov-west-1.amazonaws.com", "", "bedrock-runtime.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://proxy.example/aws", "eu-west-1", "proxy.example", "eu-west-1"),
    ],
)  # fmt: skip
def test_the_region_says_where_it_is_or_the_other_way_round(base_url, region, host, found):
    provider = bedrock(base_url, region)

    assert (provider.origin.host, provider.region) == (host, found)


@pytest.mark.parametrize(
    ("status", "header", "body", "code", "retryable"),
    [
        (429, "ThrottlingException", b'{"message":"slow"}', "ThrottlingException", True),
        (400, "ValidationException:http://internal.amazon.com/coral/", b'{"message":"no"}', "ValidationException", False),
        (400, "ServiceQuotaExceededException", b"{}", "ServiceQuotaExceededException", True),
        (424, "ModelErrorException", b"{}", "ModelErrorException", True),
        (403, "", b'{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"who"}', "UnrecognizedClientException", True),
        (404, "ResourceNotFoundException", b"{}", "ResourceNotFoundException", False),
        (503, "", b"<html>", "upstream_error", True),
        (500, "", b'{"__type":5}', "upstream_error", True),
    ],
)  # fmt: skip
def test_refusals_are_called_what_aws_calls_them(status, header, body, code, retryable):
    headers = [(b"x-amzn-errortype", header.encode())] if header else []

    error = bedrock().failure(status, headers, body)

    assert (error.code, error.retryable, error.status) == (code, retryable, status)
