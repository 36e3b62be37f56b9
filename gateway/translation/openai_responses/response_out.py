"""The response object around an answer: what it repeats of the request, and what it says at each stage.

Source: OpenAI's OpenAPI description, schema `Response`, and recorded responses (2026-04 to 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Logprob, Stop
from gateway.translation.openai_responses.settings_out import write_choice, write_format, write_reasoning
from gateway.translation.openai_responses.tools import Toolbox, write_tools
from telemetry.records import Usage

_encode = msgspec.json.encode
_TIERS = frozenset({"default", "flex", "scale", "priority", "fast"})
_CUT_SHORT: dict[Stop, str] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "filter": "content_filter",
    "refusal": "content_filter",
}


def reason_of(stop: Stop, *, refused: bool) -> str:
    """Return why the response is incomplete; empty if it is not: whoever says that they refuse is done."""
    return "" if refused and stop == "refusal" else _CUT_SHORT.get(stop, "")


class Envelope:
    """One response, without its items."""

    def __init__(self, answering: Answering, *, id: str, model: str) -> None:  # noqa: A002 - the field's name
        hexadecimal = answering.call_id.replace("-", "")
        self.id = id if id.startswith("resp_") else f"resp_{hexadecimal}"
        self._suffix = hexadecimal
        self._head = {
            "id": self.id,
            "object": "response",
            "created_at": answering.created_s,
            "model": model or answering.model,
        }
        self._repeated = _encode(_repeated(answering))[1:-1]

    def item_id(self, kind: str, place: int) -> str:
        """Return the id of the item that stands at this place of the output."""
        return f"{kind}_{self._suffix}{place:02x}"

    def begun(self) -> bytes:
        """Return the response while nothing is known of the answer."""
        return self._write("in_progress", "", [], None, "")

    def done(self, reason: str, items: Sequence[object], usage: Usage | None, service_tier: str) -> bytes:
        """Return the whole response; `reason` if it is incomplete."""
        return self._write("incomplete" if reason else "completed", reason, items, usage, service_tier)

    def _write(
        self, status: str, reason: str, items: Sequence[object], usage: Usage | None, service_tier: str
    ) -> bytes:
        said = {
            **self._head,
            "status": status,
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": items,
            "service_tier": service_tier if service_tier in _TIERS else "default",
            "usage": None if usage is None else write_usage(usage),
        }
        return b"%b,%b}" % (_encode(said)[:-1], self._repeated)


def _repeated(answering: Answering) -> dict[str, object]:
    """Return what every response says of its request, as far as it was carried."""
    request = answering.request
    reasoning = None if request.reasoning is None else write_reasoning(request.reasoning, request.max_tokens)
    choice = request.tool_choice
    return {
        "instructions": request.system[0].text if request.system else None,
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": answering.previous or None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None, **(reasoning or {})},
        "safety_identifier": None,
        "store": "store" not in request.hints,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {
            "format": {"type": "text"} if request.format is None else write_format(request.format),
            "verbosity": request.verbosity or "medium",
        },
        "tool_choice": "auto" if choice is None else write_choice(choice, Toolbox(request.tools)),
        "tools": write_tools(request.tools),
        "top_logprobs": request.top_logprobs or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": "disabled",
        "user": request.user or None,
    }


def write_usage(usage: Usage) -> dict[str, object]:
    """Return the tokens as OpenAI counts them: details are part of their totals."""
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.output_reasoning},
        "total_tokens": usage.input_total + usage.output_total,
    }


def write_logprobs(logprobs: Sequence[Logprob]) -> list[object]:
    """Return how likely the tokens of a text were."""
    return [{**_token(one), "top_logprobs": [_token(other) for other in one.top]} for one in logprobs]


def _token(logprob: Logprob) -> dict[str, object]:
    said = logprob.token.encode()
    return {"token": logprob.token, "logprob": logprob.logprob, "bytes": list(said)}
