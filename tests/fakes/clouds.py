"""Clouds on a socket: Bedrock that checks signatures, Azure OpenAI, Vertex and Google's token endpoint.

What they check with is the clouds' own: botocore signs anew and compares, `cryptography` verifies assertions.
"""

from __future__ import annotations

import base64
import datetime
import struct
import zlib
from typing import Any
from urllib.parse import parse_qs

import botocore.session  # type: ignore[import-untyped]
import msgspec
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from botocore.validate import ParamValidator  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.provider import Received, Script

EVENT_STREAM = (("content-type", "application/vnd.amazon.eventstream"),)
_TEXT = 7


_converse = (
    botocore.session.get_session()
    .get_service_model("bedrock-runtime", api_version="2023-09-30")
    .operation_model("Converse")
    .input_shape
)


def check_converse(body: bytes, model: str = "amazon.nova-pro-v1:0") -> dict[str, Any]:
    """Return the body of a request; fail if it is not one by Converse's own description."""
    said: dict[str, Any] = msgspec.json.decode(body)
    report = ParamValidator().validate({**said, "modelId": model}, _converse)
    assert not report.has_errors(), report.generate_report()
    return said


def frames_by_aws(stream: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Headers and payloads of a stream as AWS's own library reads them."""
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    return [(event.headers, event.payload) for event in buffer]


def signature_by_aws(
    url: str, kind: str, body: bytes, *, key: tuple[str, str, str], region: str, moment: str
) -> str:
    """The whole Authorization of a POST to Bedrock as AWS's own library makes it."""
    access_key, secret_key, token = key
    request = AWSRequest("POST", url, data=body, headers={"content-type": kind})
    request.context["timestamp"] = request.headers["X-Amz-Date"] = moment
    if token:
        request.headers["X-Amz-Security-Token"] = token
    auth = SigV4Auth(Credentials(access_key, secret_key, token or None), "bedrock", region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"


def frame(name: str, payload: bytes, *, kind: str = "event") -> bytes:
    """One frame of AWS's event stream."""
    if kind == "error":
        headers = {":message-type": kind, ":error-code": name, ":error-message": payload.decode()}
        payload = b""
    else:
        headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    head = b"".join(_header(*pair) for pair in headers.items())
    start = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    body = start + struct.pack(">I", zlib.crc32(start)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _header(name: str, value: str) -> bytes:
    return (
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _TEXT, len(value)) + value.encode()
    )


def event(name: str, **payload: Any) -> bytes:
    """A frame of ConverseStream."""
    return frame(name, msgspec.json.encode(payload))


USAGE = {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12}


def converse(text: str = "Hello!", **changes: Any) -> Script:
    """An answer of Converse."""
    message = {"role": "assistant", "content": [{"text": text}]}
    said = {
        "output": {"message": message},
        "stopReason": "end_turn",
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
    }
    headers = (("content-type", "application/json"), ("x-amzn-requestid", "aws-1"))
    return Script(headers=headers, body=msgspec.json.encode({**said, **changes}))


def converse_stream(words: tuple[str, ...] = ("Hel", "lo", "!")) -> Script:
    """The same as a stream."""
    frames = [event("messageStart", role="assistant")]
    frames += [event("contentBlockDelta", contentBlockIndex=0, delta={"text": word}) for word in words]
    frames += [event("contentBlockStop", contentBlockIndex=0), event("messageStop", stopReason="end_turn")]
    frames.append(event("metadata", usage=USAGE, metrics={"latencyMs": 1}))
    return Script(headers=EVENT_STREAM, body=tuple(frames), framing="chunked")


def answer_of(block: dict[str, Any]) -> Script:
    """An answer of this one block, which says something or calls a tool."""
    message = {"role": "assistant", "content": [block]}
    return converse(output={"message": message}, stopReason=_reason(block))


def stream_of(block: dict[str, Any]) -> Script:
    """The same as a stream."""
    frames = [event("messageStart", role="assistant")]
    deltas: list[dict[str, Any]] = [{"text": part} for part in _parts(block.get("text", ""))]
    if use := block.get("toolUse"):
        start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
        frames.append(event("contentBlockStart", contentBlockIndex=0, start=start))
        said = msgspec.json.encode(use["input"]).decode()
        deltas = [{"toolUse": {"input": part}} for part in _parts(said)]
    frames += [event("contentBlockDelta", contentBlockIndex=0, delta=delta) for delta in deltas]
    frames += [event("contentBlockStop", contentBlockIndex=0)]
    frames += [event("messageStop", stopReason=_reason(block)), event("metadata", usage=USAGE)]
    return Script(headers=EVENT_STREAM, body=tuple(frames), framing="chunked")


def refusal(status: int, said: str = "No.", *, headers: tuple[tuple[str, str], ...] = ()) -> Script:
    """An error of Converse."""
    name = _ERRORS.get(status, "InternalServerException")
    kind = ("x-amzn-errortype", f"{name}:http://internal.amazon.com/coral/")
    body = msgspec.json.encode({"message": said})
    return Script(status=status, headers=(("content-type", "application/json"), kind, *headers), body=body)


_ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
}


def _reason(block: dict[str, Any]) -> str:
    return "tool_use" if "toolUse" in block else "end_turn"


def _parts(words: str) -> list[str]:
    return [words[i : i + 5] for i in range(0, len(words), 5)]


class FakeBedrock:
    """Answers whoever signs with this key, in this region."""

    def __init__(self, access_key: str, secret_key: str, token: str = "", region: str = "us-east-1") -> None:
        self._key = (access_key, secret_key, token)
        self._region = region

    def __call__(self, request: Received) -> Script:
        check_converse(request.body)
        if request.headers.get("authorization") != self._signature(request):
            body = b'{"message":"The request signature we calculated does not match."}'
            kind = ("x-amzn-errortype", "InvalidSignatureException:http://internal.amazon.com/coral/")
            return Script(status=403, headers=(("content-type", "application/json"), kind), body=body)
        return converse_stream() if request.path.endswith("/converse-stream") else converse()

    def _signature(self, request: Received) -> str:
        moment = request.headers.get("x-amz-date", "20000101T000000Z")
        signed_at = datetime.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        if abs(datetime.datetime.now(datetime.UTC) - signed_at) > datetime.timedelta(minutes=5):
            return "too late"
        url = f"http://{request.headers['host']}{request.path}"
        kind = request.headers["content-type"]
        return signature_by_aws(url, kind, request.body, key=self._key, region=self._region, moment=moment)


class GoogleAccount:
    """A service account of a test's own, and the endpoint that gives tokens for it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.given = 0
        """Tokens so far."""
        self.lifetime_s = 3600

    def file(self, token_uri: str, **changes: str) -> str:
        """The JSON that Google would have made."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        said = {
            "type": "service_account",
            "project_id": "harbour",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "tide@harbour.iam.gserviceaccount.com",
            "token_uri": token_uri,
            **changes,
        }
        return msgspec.json.encode(said).decode()

    @property
    def token(self) -> str:
        """The one that is good now."""
        return f"ya29.token-{self.given}"

    def give(self, request: Received) -> Script:
        """Check the assertion and answer with a new token."""
        form = parse_qs(request.body.decode())
        claims = self.claims(form["assertion"][0])
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        assert claims["iss"] == "tide@harbour.iam.gserviceaccount.com"
        assert claims["aud"].endswith(request.path)
        assert claims["exp"] - claims["iat"] == 3600
        self.given += 1
        said = {"access_token": self.token, "expires_in": self.lifetime_s, "token_type": "Bearer"}
        return Script(body=msgspec.json.encode(said))

    def claims(self, assertion: str) -> dict[str, Any]:
        """Verify a token's signature, and return what it claims."""
        signed, _, signature = assertion.rpartition(".")
        head, _, claims = signed.partition(".")
        assert msgspec.json.decode(_unpadded(head))["alg"] == "RS256"
        self._key.public_key().verify(
            _unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        decoded: dict[str, Any] = msgspec.json.decode(_unpadded(claims))
        return decoded


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
