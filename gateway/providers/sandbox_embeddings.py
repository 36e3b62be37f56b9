"""The sandbox's embeddings: the same text always has the same unit vector, different texts different ones."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.providers.sandbox_script import Script, tokens

DIMENSIONS = 256
_MOST = 4096


def embeddings(model: str, body: dict[str, Any], script: Script) -> bytes:
    """Return the answer; raise BadRequest where OpenAI would refuse the request."""
    inputs = _inputs(body.get("input"))
    dimensions = body.get("dimensions")
    if dimensions is None:
        dimensions = DIMENSIONS
    if not isinstance(dimensions, int) or isinstance(dimensions, bool) or not 1 <= dimensions <= _MOST:
        raise BadRequest(f"Invalid 'dimensions': expected an integer from 1 to {_MOST}.", param="dimensions")
    encoding = body.get("encoding_format") or "float"
    if encoding not in {"float", "base64"}:
        raise BadRequest("Invalid 'encoding_format': expected float or base64.", param="encoding_format")
    data = []
    for i, text in enumerate(inputs):
        values = vector(text, dimensions)
        packed = struct.pack(f"<{dimensions}f", *values)
        said = base64.b64encode(packed).decode() if encoding == "base64" else values
        data.append({"object": "embedding", "index": i, "embedding": said})
    count = sum(len(tokens(text)) for text in inputs)
    answer: dict[str, Any] = {"object": "list", "data": data, "model": f"sandbox/{model}"}
    usage = {"prompt_tokens": count, "total_tokens": count} if script.usage is msgspec.UNSET else script.usage
    if usage is not None:
        answer["usage"] = usage
    return msgspec.json.encode(answer)


def vector(text: str, dimensions: int) -> list[float]:
    """Return the text's unit vector, as 32-bit floats."""
    needed = dimensions * 4
    stream = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(needed)
    raw = [value / 2**31 - 1 + 2**-32 for value in struct.unpack(f"<{dimensions}I", stream)]
    length = math.sqrt(math.fsum(value * value for value in raw))
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(v / length for v in raw))))


def _inputs(said: object) -> list[str]:
    """Return the texts; a list of numbers is one text of tokens, a list of those several."""
    if isinstance(said, str) and said:
        return [said]
    if isinstance(said, list) and said:
        if all(isinstance(part, int) for part in said):
            return [" ".join(map(str, said))]
        if all(isinstance(part, str | list) and part for part in said):
            return [part if isinstance(part, str) else " ".join(map(str, part)) for part in said]
    raise BadRequest("Invalid 'input': expected a text, a list of texts, or tokens.", param="input")
