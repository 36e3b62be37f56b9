"""Why a model stopped, in Anthropic's words.

Source: https://docs.anthropic.com/en/api/handling-stop-reasons (2026-11).
"""

from __future__ import annotations

from gateway.translation.conversation import Stop

_READ: dict[str, Stop] = {
    "end_turn": "end",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}
_WRITTEN: dict[Stop, str] = {stop: reason for reason, stop in _READ.items()} | {
    "filter": "refusal",
    "other": "end_turn",
}


def read(reason: str | None) -> Stop:
    """Return why it stopped."""
    return _READ.get(reason or "end_turn", "other")


def write(stop: Stop, *, calls: bool, refuses: bool) -> str:
    """Return the reason; a client looks at it before it looks for calls or a refusal."""
    if stop == "end" and calls:
        return "tool_use"
    return _WRITTEN["refusal" if stop == "end" and refuses else stop]
