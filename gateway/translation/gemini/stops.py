"""Why a model stopped, in Gemini's words.

Source: https://ai.google.dev/api/generate-content#FinishReason (2026-11) and google-genai 3.4.0.
"""

from __future__ import annotations

from gateway.translation.conversation import Stop
from gateway.wire.gemini_answer import reason

_READ: dict[str, Stop] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "FUNCTION_CALL": "tool_calls",
    "CONTINUATION": "pause",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        "filter",
    ),
}
_WRITTEN: dict[Stop, str] = {
    "end": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "context": "MAX_TOKENS",
    "filter": "SAFETY",
    "refusal": "SAFETY",
}


def read(said: object, *, called: bool) -> Stop | None:
    """Return why it stopped, `called` saying whether it called a function; None if it has not."""
    name = reason(said)
    if not name:
        return None
    stop = _READ.get(name, "other")
    return "tool_calls" if called and stop == "end" else stop


def write(stop: Stop) -> str:
    """Return the `finishReason`."""
    return _WRITTEN.get(stop, "OTHER")
