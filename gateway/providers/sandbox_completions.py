"""The sandbox's legacy completions: the prompt, once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.providers.sandbox_script import CREATED, Script, digest, number, regrouped, tokens

_encode = msgspec.json.encode


class TextCompletion(msgspec.Struct, kw_only=True):
    """One answer, before it is put into JSON or a stream."""

    id: str
    model: str
    choices: list[tuple[list[str], str]]
    """Tokens and finish reason of each."""
    usage: dict[str, Any] | None

    def document(self) -> bytes:
        """Return the answer as one JSON document."""
        said = [_choice(i, "".join(pieces), reason) for i, (pieces, reason) in enumerate(self.choices)]
        answer = self._frame(said)
        if self.usage is not None:
            answer["usage"] = self.usage
        return _encode(answer)

    def events(self, *, include_usage: bool, chunks: int | None) -> Iterator[bytes]:
        """Yield the events of a stream, `[DONE]` included."""
        extra: dict[str, Any] = {"usage": None} if include_usage else {}
        for i, (pieces, reason) in enumerate(self.choices):
            for piece in regrouped(pieces, chunks):
                yield self._event([_choice(i, piece, None)], extra)
            yield self._event([_choice(i, "", reason)], extra)
        if include_usage and self.usage is not None:
            yield self._event([], {"usage": self.usage})
        yield b"data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], extra: dict[str, Any]) -> bytes:
        return b"data: " + _encode({**self._frame(choices), **extra}) + b"\n\n"

    def _frame(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": CREATED,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": "fp_sandbox",
        }


def text_completion(model: str, body: dict[str, Any], script: Script, seed: bytes) -> TextCompletion:
    """Work out the answer; raise BadRequest where OpenAI would refuse the request."""
    prompts = _prompts(body.get("prompt"))
    count = number(body, "n", 1, 128)
    most = None if body.get("max_tokens") is None else number(body, "max_tokens", 1, 1 << 31)
    choices = []
    for prompt in prompts:
        pieces = tokens(prompt if script.text is None else script.text)
        reason = "stop" if most is None or len(pieces) <= most else "length"
        before = tokens(prompt) if body.get("echo") is True else []
        choices += [([*before, *pieces[:most]], script.finish_reason or reason)] * count
    read = sum(len(tokens(prompt)) for prompt in prompts)
    written = sum(len(pieces) for pieces, _ in choices)
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return TextCompletion(
        id="cmpl-" + digest(seed)[:29],
        model=f"sandbox/{model}",
        choices=choices,
        usage=usage if script.usage is msgspec.UNSET else script.usage,
    )


def _choice(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}


def _prompts(said: object) -> list[str]:
    """Return the prompts; a list of numbers is one of tokens, a list of those several."""
    if said is None:
        return [""]
    if isinstance(said, str):
        return [said]
    if isinstance(said, list) and said:
        if all(isinstance(part, int) for part in said):
            return [" ".join(map(str, said))]
        if all(isinstance(part, str | list) for part in said):
            return [part if isinstance(part, str) else " ".join(map(str, part)) for part in said]
    raise BadRequest("Invalid 'prompt': expected a text, a list of texts, or tokens.", param="prompt")
