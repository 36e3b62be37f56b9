"""Reads the turns of a client's request.

Calls and results may lack ids: a result without one belongs to the first call of its name that has none yet.
Clients keep a streamed answer as the many pieces in which it came, so the model's turns that follow each other are one.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.errors import BadRequest
from gateway.translation.conversation import Media, Message, Part, Text, ToolCall, ToolResult
from gateway.translation.gemini import asked, media
from gateway.translation.gemini.turn import Turn, arguments_of

_At = tuple[int, int]
"""Which part of which turn, for errors."""
_USER = ("user", "function", "tool", "", None)
_ANSWERS = ("output", "result")
_strings = msgspec.json.Decoder(str)
_objects = msgspec.json.Decoder(dict[str, Raw])


class Contents:
    """The conversation as far as it was read."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._turn: Turn | None = None
        """The model's, to which more may follow."""
        self._waiting: list[ToolCall] = []
        """Calls whose results have not been seen."""
        self._calls = 0

    def messages(self) -> tuple[Message, ...]:
        """Return the whole conversation."""
        self._close()
        return tuple(self._messages)

    def take(self, content: asked.Content, at: int) -> None:
        """Read one turn; raise BadRequest if nobody can say that."""
        parts = content.parts or []
        if content.role == "model":
            turn = self._turn = self._turn or Turn()
            goes_on = bool(turn.parts)
            for place, part in enumerate(parts):
                self._model_part(turn, part, (at, place), join=goes_on and not place)
            return
        self._close()
        if content.role not in _USER and content.role != "system":
            raise BadRequest(
                f"Invalid value for 'contents[{at}].role': use 'user' or 'model'.",
                code="invalid_value",
                param=f"contents[{at}].role",
            )
        read = [self._user_part(part, (at, i)) for i, part in enumerate(parts)]
        said: tuple[Part, ...] = tuple(part for part in read if part is not None)
        if said:
            self._messages.append(Message("system" if content.role == "system" else "user", said))

    def _close(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and turn.parts:
            self._messages.append(Message("assistant", tuple(turn.parts)))

    def _model_part(self, turn: Turn, part: asked.Part, at: _At, *, join: bool) -> None:
        signed = part.thought_signature
        if part.function_call is not None:
            self._call(turn, part.function_call, signed, at)
        elif part.function_response is not None:
            raise _misplaced(at, "functionResponse", "user")
        elif (medium := _media(part.inline_data, part.file_data)) is not None:
            turn.show(medium, signed)
        elif part.thought:
            turn.think(part.text or "", signed, join=join)
        else:
            turn.say(part.text or "", signed, join=join)

    def _call(self, turn: Turn, said: asked.Call, signed: str | None, at: _At) -> None:
        if not said.name:
            raise _nameless(at, "functionCall")
        try:
            arguments = arguments_of(said.args)
        except UnicodeDecodeError as error:
            raise asked.unreadable() from error
        if not arguments.startswith("{"):
            path = _path(at, "functionCall.args")
            raise BadRequest(f"Invalid type for '{path}': expected object.", code="invalid_type", param=path)
        call = turn.call(said.name, arguments, said.id or f"call_{self._calls}", signed)
        self._calls += 1
        self._waiting.append(call)

    def _user_part(self, part: asked.Part, at: _At) -> Part | None:
        if part.function_response is not None:
            return self._result(part.function_response, at)
        if part.function_call is not None:
            raise _misplaced(at, "functionCall", "model")
        if (medium := _media(part.inline_data, part.file_data)) is not None:
            return medium
        return Text(part.text) if part.text else None

    def _result(self, said: asked.Returned, at: _At) -> ToolResult:
        call = self._call_of(said)
        name = said.name or (call.name if call else "")
        if call is None and not said.id and not name:
            raise _nameless(at, "functionResponse")
        text, failed = _response(said.response)
        shown = (_media(part.inline_data, part.file_data) for part in said.parts or ())
        return ToolResult(
            id=said.id or (call.id if call else name),
            name=name,
            parts=(*((Text(text),) if text else ()), *(medium for medium in shown if medium is not None)),
            failed=failed,
        )

    def _call_of(self, said: asked.Returned) -> ToolCall | None:
        for call in self._waiting:
            if call.id == said.id if said.id else said.name in (call.name, None, ""):
                self._waiting.remove(call)
                return call
        return None


def _media(blob: asked.Blob | None, file: asked.File | None) -> Media | None:
    if blob is not None and blob.data:
        return media.from_bytes(blob.mime_type or "", blob.data, blob.display_name or "")
    if file is not None and file.file_uri:
        return media.from_address(file.mime_type or "", file.file_uri, file.display_name or "")
    return None


def _response(said: Raw | UnsetType) -> tuple[str, bool]:
    """Return what a function returned, and whether it failed: `error`, `output` (or `result`), or whatever it says."""
    if said is UNSET or bytes(said) == b"null":
        return "", False
    if not bytes(said).startswith(b"{"):
        return _words(said), False
    try:
        fields = _objects.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise asked.unreadable() from error
    if len(fields) == 1:
        name, value = next(iter(fields.items()))
        if name == "error" or name in _ANSWERS:
            return _words(value), name == "error"
    return asked.text_of(said), False


def _words(raw: Raw) -> str:
    text = asked.text_of(raw)
    if not text.startswith('"'):
        return "" if text == "null" else text
    try:
        return _strings.decode(raw)
    except msgspec.DecodeError as error:
        raise asked.unreadable() from error


def _path(at: _At, name: str) -> str:
    return f"contents[{at[0]}].parts[{at[1]}].{name}"


def _misplaced(at: _At, name: str, role: str) -> BadRequest:
    path = _path(at, name)
    return BadRequest(
        f"Invalid value for '{path}': it belongs in a turn whose role is '{role}'.",
        code="invalid_value",
        param=path,
    )


def _nameless(at: _At, name: str) -> BadRequest:
    path = _path(at, f"{name}.name")
    return BadRequest(f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)
