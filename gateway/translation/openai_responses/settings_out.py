"""Settings of an answer, as a request makes them and a response repeats them."""

from __future__ import annotations

import msgspec

from gateway.translation.conversation import Format, Reasoning, ToolChoice
from gateway.translation.openai_responses.tools import Toolbox
from gateway.translation.reasoning import effort_of


def write_choice(choice: ToolChoice, toolbox: Toolbox) -> object:
    """Return whether or which function is to be called."""
    if choice.mode != "tool":
        return choice.mode
    kind = "custom" if toolbox.is_freeform(choice.name) else "function"
    return {"type": kind, "name": choice.name}


def write_format(wanted: Format) -> dict[str, object]:
    """Return the form of the text."""
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    written: dict[str, object] = {
        "type": "json_schema",
        "name": wanted.name or "answer",
        "schema": msgspec.Raw(wanted.schema.encode() or b"{}"),
    }
    if wanted.description:
        written["description"] = wanted.description
    if wanted.strict is not None:
        written["strict"] = wanted.strict
    return written


def write_reasoning(reasoning: Reasoning, max_tokens: int | None) -> dict[str, object]:
    """Return how much to think and how much of it to show; empty if nobody said it."""
    written: dict[str, object] = {}
    if effort := effort_of(reasoning, max_tokens):
        written["effort"] = effort
    if summary := reasoning.summary or ("auto" if reasoning.show else ""):
        written["summary"] = summary
    return written
