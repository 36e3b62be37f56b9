"""Writes the parts of messages for Converse."""

from __future__ import annotations

import base64
import re

import msgspec

from gateway.translation.bedrock.makers import caches, like_claude
from gateway.translation.bedrock.shapes import (
    S3,
    Block,
    CachePoint,
    Cited,
    File,
    Reasoning,
    ReasoningText,
    Result,
    Source,
    Switch,
    ToolUse,
    Turn,
    Words,
)
from gateway.translation.conversation import (
    Cache,
    Media,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/mpeg": "mpeg",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mp4": "mp4",
}
"""What Converse calls a media type."""

_OPENING = "..."
"""What a user says who said nothing before the model did."""
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")
_LONGEST_ID = 64
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\] -]+")
_LONGEST_NAME = 190
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


class PartsOut:
    """Writes the messages of one request; notes what is lost, and which functions were called."""

    def __init__(self, maker: str) -> None:
        self._maker = maker
        self._names: set[str] = set()
        self.lost: dict[str, None] = {}
        self.called: dict[str, None] = {}

    def turns(self, messages: tuple[Message, ...]) -> list[Turn]:
        """Return the messages in the order that is asked for: user and model in turn, a user first, results first."""
        turns: list[Turn] = []
        for message in messages:
            if message.role == "system":
                continue
            blocks = [block for part in message.parts for block in self._part(part, message.role)]
            if message.name:
                self.lost["name"] = None
            if turns and turns[-1].role == message.role:
                turns[-1].content += blocks
            elif blocks:
                turns.append(Turn(message.role, blocks))
        for turn in turns:
            turn.content.sort(key=_is_no_result)
        if not turns or turns[0].role != "user":
            turns.insert(0, Turn("user", [Block(text=_OPENING)]))
        return turns

    def words(self, text: Text) -> list[Block]:
        """Return a text and its cache point; blank ones are refused."""
        return [Block(text=text.text), *self.cached(text.cache)] if text.text.strip() else []

    def cached(self, cache: Cache | None) -> list[Block]:
        """Return the cache point, if there is to be one."""
        if cache is None:
            return []
        if not caches(self._maker):
            self.lost["cache"] = None
            return []
        return [Block(cache_point=CachePoint(ttl=cache.ttl or msgspec.UNSET))]

    def _part(self, part: Part, role: str) -> list[Block]:
        match part:
            case Text():
                cited = _cited(part) if role == "assistant" else None
                return [cited, *self.cached(part.cache)] if cited is not None else self.words(part)
            case Media():
                block = self._media(part, allowed=role == "user")
                return [block, *self.cached(part.cache)] if block is not None else []
            case Thinking():
                return self._thought(part)
            case ToolCall():
                self.called[part.name] = None
                return [_call(part), *self.cached(part.cache)]
            case ToolResult():
                return self._result(part)
            case Refusal():
                return self.words(Text(part.text))

    def _thought(self, thought: Thinking) -> list[Block]:
        """Return what the model may see again: signatures of Claude's hold wherever it is served.

        Source: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking, "Thinking encryption": they
        are compatible across Claude's API, Bedrock and Vertex (2026-11). Nobody says so of hidden thoughts.
        """
        if not like_claude(self._maker) or not thought.signature:
            return []
        if thought.hidden:
            known = thought.origin == "bedrock"
            return [Block(reasoning_content=Reasoning(redacted_content=thought.signature))] if known else []
        if thought.origin != "anthropic":
            return []
        said = ReasoningText(thought.text, thought.signature)
        return [Block(reasoning_content=Reasoning(reasoning_text=said))]

    def _result(self, result: ToolResult) -> list[Block]:
        content: list[Block] = []
        cache = result.cache
        for part in result.parts:
            if isinstance(part, Text):
                content += [Block(text=part.text)] if part.text.strip() else []
            elif (block := self._media(part, allowed=part.kind != "audio")) is not None:
                content.append(block)
            cache = cache or part.cache  # none may stand inside
        said = Result(call_id(result.id), content, "error" if result.failed else None)
        return [Block(tool_result=said), *self.cached(cache)]

    def _media(self, media: Media, *, allowed: bool) -> Block | None:
        source = self._source(media) if allowed else None
        form = FORMATS.get(media.media_type.partition(";")[0].strip().lower())
        if media.text:
            form = form or "txt"
        if source is None or form is None:
            self.lost[media.kind] = None
            return None
        if media.detail not in ("", "auto"):
            self.lost["detail"] = None
        match media.kind:
            case "image":
                return Block(image=File(form, source=source))
            case "audio":
                return Block(audio=File(form, source=source))
            case "video":
                return Block(video=File(form, source=source))
            case "document":
                cite = Switch(enabled=True) if media.cite else None
                return Block(document=File(form, self._name(media.name), source, cite))

    def _source(self, media: Media) -> Source | None:
        if media.data:
            return Source(bytes=media.data)
        if media.url.startswith("s3://"):
            return Source(s3_location=S3(media.url))
        if media.text and like_claude(self._maker):
            return Source(text=media.text)
        return Source(bytes=base64.b64encode(media.text.encode()).decode()) if media.text else None

    def _name(self, said: str) -> str:
        """Return a name of the letters that are allowed, and none twice.

        Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html (2026-11).
        """
        plain = " ".join(_NOT_IN_NAMES.sub(" ", said).split())[:_LONGEST_NAME] or "document"
        name, count = plain, 1
        while name in self._names:
            count += 1
            name = f"{plain} {count}"
        self._names.add(name)
        return name


def _is_no_result(block: Block) -> bool:
    return block.tool_result is None


def call_id(said: str) -> str:
    """Return an id of the letters and length that are allowed."""
    return _NOT_IN_IDS.sub("_", said)[:_LONGEST_ID] or "_"


def _call(call: ToolCall) -> Block:
    text = call.arguments.encode()
    try:
        _objects.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Converse takes objects only; what the model once wrote instead is kept as words.
        text = msgspec.json.encode({"arguments": call.arguments}) if call.arguments.strip() else b"{}"
    return Block(tool_use=ToolUse(call_id(call.id), call.name, msgspec.Raw(text)))


def _cited(text: Text) -> Block | None:
    raw = [msgspec.Raw(one.raw.encode()) for one in text.citations if one.origin == "bedrock" and one.raw]
    if not raw or not text.text.strip():
        return None
    return Block(citations_content=Cited([Words(text.text)], raw))
