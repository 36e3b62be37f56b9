"""What documents and streams of answers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.translation.conversation import Citation, Logprob, Stop
from telemetry.records import Usage

TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})
_STOPS: dict[str, Stop] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filter",
    # others' words: Mistral, Together, Hugging Face, LiteLLM
    "model_length": "length",
    "max_tokens": "length",
    "eos": "end",
    "eos_token": "end",
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
}
_REASONS: dict[Stop, str] = {
    "length": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "filter": "content_filter",
    "refusal": "content_filter",
}


def stop_of(reason: str, *, sequence: str, called: bool, refused: bool) -> Stop:
    """Return why the model stopped; `stop` is also said where tools are called, or in words of refusal."""
    stop = _STOPS.get(reason, "other")
    if stop != "end":
        return stop
    if called:
        return "tool_calls"
    if refused:
        return "refusal"
    return "stop_sequence" if sequence else "end"


def reason_of(stop: Stop, *, called: bool, refused: bool) -> str:
    """Return the `finish_reason`; a model that refuses in words has stopped."""
    if called and stop == "end":
        return "tool_calls"
    if refused and stop == "refusal":
        return "stop"
    return _REASONS.get(stop, "stop")


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return the usage object; OpenAI counts every detail inside its total."""
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.input_total + usage.output_total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.input_audio,
            "image_tokens": usage.input_image,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.output_reasoning,
            "audio_tokens": usage.output_audio,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def call_id(said: str, answer: str, number: int) -> str:
    """Return a call's id, or one made from the id of the call it answers; 40 characters at most."""
    return said or f"call_{answer.replace('-', '')[-32:]}{number}"


# --- logprobs ---------------------------------------------------------------------------------------


class _Token(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Token] | None = None

    def read(self) -> Logprob:
        """Return it with those in its place."""
        top = tuple(token.read() for token in self.top_logprobs or ())
        return Logprob(token=self.token, logprob=self.logprob, top=top)


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


def read_logprobs(said: object) -> tuple[Logprob, ...]:
    """Read the `logprobs` of a choice; nothing of nonsense."""
    try:
        read = msgspec.convert(said, _Logprobs | None)
    except msgspec.ValidationError:
        return ()
    if read is None:
        return ()
    return tuple(token.read() for token in [*(read.content or ()), *(read.refusal or ())])


def logprobs_of(logprobs: Sequence[Logprob]) -> dict[str, Any] | None:
    """Return the `logprobs` of a choice."""
    if not logprobs:
        return None
    content = [{**_token(one), "top_logprobs": [_token(top) for top in one.top]} for one in logprobs]
    return {"content": content, "refusal": None}


def _token(one: Logprob) -> dict[str, Any]:
    return {"token": one.token, "logprob": one.logprob, "bytes": None}


# --- citations --------------------------------------------------------------------------------------


class _UrlCitation(msgspec.Struct):
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Annotation(msgspec.Struct):
    url_citation: _UrlCitation | None = None


def read_annotations(said: object) -> Iterable[Citation]:
    """Read `annotations`; those that are no citations of a page are passed over."""
    for annotation in said if isinstance(said, list) else ():
        try:
            found = msgspec.convert(annotation, _Annotation, strict=False).url_citation
        except msgspec.ValidationError:
            continue
        if found is not None and found.url:
            yield Citation(
                url=found.url,
                title=found.title or "",
                start=-1 if found.start_index is None else found.start_index,
                end=-1 if found.end_index is None else found.end_index,
            )


def annotation_of(citation: Citation, begin: int, end: int) -> dict[str, Any] | None:
    """Return an annotation of the text between these characters of the answer; None if no page is cited."""
    if not citation.url:
        return None
    first = begin if citation.start < 0 else begin + citation.start
    last = end if citation.end < 0 else begin + citation.end
    place = {"start_index": first, "end_index": last}
    return {
        "type": "url_citation",
        "url_citation": {"url": citation.url, "title": citation.title or citation.url, **place},
    }
