"""A conversation with a model, whatever API it is held in.

Every format is read into these values and written from them, so none knows another. Two conversations that say the
same are equal. JSON that nobody here looks into (schemas, arguments) is kept as its text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from telemetry.records import Usage

Family = Literal["", "openai", "anthropic", "gemini", "bedrock"]
"""Whose model signed something: nobody else can read it."""
Stop = Literal[
    "end", "stop_sequence", "length", "tool_calls", "filter", "refusal", "pause", "context", "other"
]
"""Why a model stopped: it was done; met a stop sequence; wrote as much as it may; waits for tools; a filter of the
provider's stepped in; it will not; it wants to go on in another call; its context is full."""


class Cache(msgspec.Struct, frozen=True):
    """What comes up to here is to be cached by the provider; `ttl` as Anthropic says it (`5m`, `1h`), or empty."""

    ttl: str = ""


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a statement comes from; offsets are characters of the text that cites, -1 if unknown."""

    url: str = ""
    title: str = ""
    quote: str = ""
    document: int = -1
    """Which of the documents in the conversation, in their order."""
    start: int = -1
    end: int = -1
    raw: str = ""
    """The citation as JSON in the words of `origin`, for going back there."""
    origin: Family = ""


class Text(msgspec.Struct, frozen=True):
    """Words."""

    text: str
    cache: Cache | None = None
    citations: tuple[Citation, ...] = ()


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An image, document, audio or video: exactly one of `data`, `url`, `file_id`, `text` is there."""

    kind: Literal["image", "document", "audio", "video"]
    media_type: str = ""
    """`image/png`; empty if nobody said it."""
    data: str = ""
    """Base64."""
    url: str = ""
    file_id: str = ""
    """A file that the provider of `origin` keeps."""
    text: str = ""
    """Of a document that is plain text."""
    name: str = ""
    detail: str = ""
    """How closely to look at an image, as OpenAI says it."""
    cite: bool = False
    """The answer is to cite this document."""
    origin: Family = ""
    cache: Cache | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What the model thought, or as much as its provider shows of it."""

    text: str = ""
    signature: str = ""
    """Goes back to the provider of `origin` unchanged."""
    hidden: bool = False
    """Nothing is shown: `signature` is the encrypted thought itself."""
    id: str = ""
    """Of the item, where a format has one."""
    origin: Family = ""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The model wants a function called."""

    id: str
    name: str
    arguments: str = "{}"
    """A JSON object, as text; what a model wrote may be broken and is passed on as it is."""
    signature: str = ""
    """Of the thought that led to it: Gemini wants it back with the call."""
    origin: Family = ""
    cache: Cache | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a function returned."""

    id: str
    name: str = ""
    """Of the function, if it is known."""
    parts: tuple[Text | Media, ...] = ()
    failed: bool = False
    cache: Cache | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The model's words where it will not answer."""

    text: str


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal


class Message(msgspec.Struct, frozen=True):
    """One turn. Tool results are parts of a user's message; a `system` one stands between others."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    name: str = ""
    """Of the speaker, where a format has one."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    description: str = ""
    schema: str = ""
    """JSON Schema of its arguments as text; empty: it takes none."""
    strict: bool | None = None
    cache: Cache | None = None
    freeform: bool = False
    """Its client knows no arguments but one text, which stands here as the argument `input`."""
    namespace: str = ""
    """In which its client knows it; `name` begins with it and two underscores."""


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the model may, must or must not call a function."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""
    """Of the function, for `tool`."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """The form that the answer's text must have."""

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    description: str = ""
    schema: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model shall think; see `gateway.translation.reasoning` for one in terms of the other."""

    effort: str = ""
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; empty: not said."""
    budget: int | None = None
    """Tokens; 0: do not think; -1: the model decides."""
    show: bool | None = None
    """Whether to show (a summary of) the thoughts."""
    summary: str = ""
    """`auto`, `concise`, `detailed`, as OpenAI says it."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. None or an empty value: nobody said anything."""

    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    """What stands before all messages."""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    format: Format | None = None
    verbosity: str = ""
    reasoning: Reasoning | None = None
    stream: bool = False
    user: str = ""
    """The end user, as the client names them to the provider."""
    service_tier: str = ""
    others: tuple[str, ...] = ()
    """Parameters that change the answer and have no place here, by their name in the client's format (`n`,
    `logit_bias`, `tools[2]`): without them it is not the same request."""
    hints: tuple[str, ...] = ()
    """Parameters that have no place here and change nothing about what is said (`store`, `metadata`)."""


class Logprob(msgspec.Struct, frozen=True, kw_only=True):
    """How likely a token was."""

    token: str
    logprob: float
    top: tuple[Logprob, ...] = ()
    """The likeliest tokens in its place."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered."""

    id: str = ""
    model: str = ""
    parts: tuple[Text | Media | Thinking | ToolCall | Refusal, ...] = ()
    stop: Stop = "end"
    stop_sequence: str = ""
    """The one that was met, if it is known."""
    logprobs: tuple[Logprob, ...] = ()
    usage: Usage | None = None
    raw_usage: bytes = b""
    """The provider's own usage object, as JSON."""
    service_tier: str = ""
