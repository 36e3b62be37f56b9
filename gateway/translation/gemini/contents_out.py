"""Writes the turns of a request for a provider."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from gateway.translation.conversation import Media, Message, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.translation.gemini import asked, media, signatures

_objects = msgspec.json.Decoder(dict[str, Raw])
_RETURNABLE = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", media.PLAIN})
"""What may stand inside a function's result, from Gemini 3 on; other media stand beside it.
Source: https://ai.google.dev/gemini-api/docs/function-calling, "Multimodal function responses" (2026-11)."""


class Contents:
    """The conversation as far as it was written."""

    def __init__(self, *, new: bool) -> None:
        self.written: list[asked.Content] = []
        self.lost: dict[str, None] = {}
        """What found no place, each once and in its order."""
        self._new = new
        """It is for Gemini 3 or later."""
        self._names: dict[str, str] = {}
        """Of the functions that were called, by the calls' ids."""

    def add(self, message: Message) -> None:
        """Write one turn. There is no place for a system's words but the first: later ones are said by the user."""
        if message.name:
            self.lost["name"] = None
        if message.role == "assistant":
            self._append("model", self._model_parts(message))
        else:
            self._append("user", self._user_parts(message))

    def check(self, part: Text | Media | ToolCall | ToolResult) -> None:
        """Note what this part loses."""
        if part.cache is not None:
            self.lost["cache"] = None
        if isinstance(part, Text) and part.citations:
            self.lost["citations"] = None

    def _append(self, role: str, parts: list[asked.Part]) -> None:
        """Add a turn; results of calls that were made at once must come back at once."""
        if not parts:
            return
        last = self.written[-1] if self.written else None
        if (
            last is not None
            and last.parts
            and last.role == role
            and parts[0].function_response
            and last.parts[-1].function_response
        ):
            last.parts += parts
        else:
            self.written.append(asked.Content(parts=parts, role=role))

    def _model_parts(self, message: Message) -> list[asked.Part]:
        parts: list[asked.Part] = []
        unsigned = self._new
        """The first call of a turn must be signed."""
        for part in message.parts:
            if isinstance(part, ToolCall):
                written = self._call(part)
                if unsigned and written.thought_signature is None:
                    written.thought_signature = signatures.UNCHECKED
                unsigned = False
                parts.append(written)
            elif isinstance(part, Thinking):
                parts += _thought(part)
            else:
                parts += self._plain(part)
        return parts

    def _user_parts(self, message: Message) -> list[asked.Part]:
        parts: list[asked.Part] = []
        beside: list[asked.Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                parts.append(self._result(part, beside))
            else:
                parts += self._plain(part)
        if beside:
            after = 1 + max(at for at, part in enumerate(parts) if part.function_response is not None)
            parts[after:after] = beside
        return parts

    def _plain(self, part: object) -> list[asked.Part]:
        if isinstance(part, Text | Refusal):
            if isinstance(part, Text):
                self.check(part)
            return [asked.Part(text=part.text)] if part.text else []
        if isinstance(part, Media):
            return self._media(part)
        return []

    def _media(self, medium: Media) -> list[asked.Part]:
        self.check(medium)
        for name in ("name", "detail", "cite"):
            if getattr(medium, name):
                self.lost[name] = None
        if medium.file_id and medium.origin != "gemini":
            self.lost[medium.kind] = None
            return []
        if medium.file_id or medium.url:
            uri, media_type = media.address_of(medium)
            return [asked.Part(file_data=asked.File(mime_type=media_type, file_uri=uri))]
        data, media_type = media.bytes_of(medium)
        return [asked.Part(inline_data=asked.Blob(mime_type=media_type, data=data))]

    def _call(self, call: ToolCall) -> asked.Part:
        self.check(call)
        self._names[call.id] = call.name
        return asked.Part(
            function_call=asked.Call(name=call.name, args=arguments(call.arguments), id=call.id or None),
            thought_signature=call.signature or None if call.origin == "gemini" else None,
        )

    def _result(self, result: ToolResult, beside: list[asked.Part]) -> asked.Part:
        self.check(result)
        words = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        inside: list[asked.ReturnedPart] = []
        for part in result.parts:
            if not isinstance(part, Media):
                self.check(part)
                continue
            for written in self._media(part):
                blob = written.inline_data
                if self._new and blob is not None and blob.mime_type in _RETURNABLE:
                    inside.append(asked.ReturnedPart(inline_data=blob))
                else:
                    beside.append(written)
        said = msgspec.json.encode({"error" if result.failed else "output": words})
        return asked.Part(
            function_response=asked.Returned(
                name=result.name or self._names.get(result.id) or result.id,
                response=Raw(said),
                id=result.id or None,
                parts=inside or None,
            )
        )


def _thought(thought: Thinking) -> list[asked.Part]:
    """Return a thought of Gemini's own; it cannot make use of another's."""
    if thought.origin != "gemini" or not thought.signature:
        return []
    signature = thought.signature
    if thought.hidden:
        return [asked.Part(text="", thought_signature=signature)]
    return [asked.Part(text=thought.text, thought=True, thought_signature=signature)]


def arguments(text: str) -> Raw:
    """Return a call's arguments as an object; ones that are broken become the only field of one."""
    try:
        _objects.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Raw(msgspec.json.encode({"arguments": text} if text else {}))
    return Raw(text)
