"""Takes out of a request what only another family can read, when its conversation comes home without translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_SEALED = "tg:"
_SEALED_BASE64 = "dGc6"
"""The same in base64, as Gemini's clients hold it."""
_MARKS: Mapping[str, bytes] = {
    "anthropic.messages": b'"' + _SEALED.encode(),
    "openai.responses": b'"' + _SEALED.encode(),
    "gemini.generate": b'"' + _SEALED_BASE64.encode(),
}
_SIGNED = ("signature", "data", "encrypted_content")
"""Where thoughts carry what `gateway.translation.signatures` sealed; without it they are worth nothing."""
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_GEMINIS = ("thoughtSignature", "thought_signature")


def without_foreign(surface: str, body: bytes) -> bytes:
    """Return the body without thoughts that another family signed; as it is, if there are none."""
    mark = _MARKS.get(surface)
    if mark is None or mark not in body:
        return body
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body  # the provider will say so
    return msgspec.json.encode(_cleaned(said))


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, list):
        return [_cleaned(one) for one in value if not _is_foreign(one)]
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items() if not _is_foreign_signature(name, one)}
    return value


def _is_foreign(value: object) -> bool:
    """Say whether this is a thought that another family signed."""
    if not isinstance(value, dict) or value.get("type") not in _THOUGHTS:
        return False
    return any(isinstance(said := value.get(name), str) and said.startswith(_SEALED) for name in _SIGNED)


def _is_foreign_signature(name: str, value: object) -> bool:
    return name in _GEMINIS and isinstance(value, str) and value.startswith(_SEALED_BASE64)
