"""Conversations as hypothesis makes them up.

Every strategy takes what a format can express as other strategies, so each format's tests stay within its own limits:

    asked = requests(
        dialogues(said=texts() | media("image", data=True), calls=calls()),
        system=st.tuples(texts()),
        tools=st.lists(tools(), unique_by=name_of).map(tuple),
        **settings("max_tokens", "temperature", "stop"),
    )
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gateway.translation.conversation import (
    Cache,
    Citation,
    Family,
    Format,
    Logprob,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Reply,
    Request,
    Stop,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from telemetry.records import Usage

ReplyPart = Text | Media | Thinking | ToolCall | Refusal
_NAME = string.ascii_letters + string.digits + "_-"
SCHEMAS = (
    '{"type":"object","properties":{}}',
    '{"type":"object","properties":{"city":{"type":"string","description":"Wo? – “hier”"}},"required":["city"],'
    '"additionalProperties":false}',
    '{"type":"object","properties":{"n":{"anyOf":[{"type":"integer"},{"type":"null"}]},"tags":{"type":"array",'
    '"items":{"enum":["a","b"]}}}}',
)
ARGUMENTS = (
    "{}",
    '{"city":"Zürich"}',
    '{"n":null,"tags":["a","b"],"deep":{"x":[1,2.5,-3e7]}}',
    '{"q":"\\"\\n{"}',
)
MEDIA_TYPES = {
    "image": "image/png",
    "document": "application/pdf",
    "audio": "audio/wav",
    "video": "video/mp4",
}


# --- what is said ----------------------------------------------------------------------------------


def words(most: int = 12) -> SearchStrategy[str]:
    """Text that is not blank."""
    return st.text(min_size=1, max_size=most).filter(str.strip)


def names(most: int = 24) -> SearchStrategy[str]:
    """Names and ids that every provider takes."""
    return st.text(_NAME, min_size=1, max_size=most)


def tokens() -> SearchStrategy[str]:
    """Signatures, base64: any length but 0."""
    return st.text(string.ascii_letters + "+/", min_size=4, max_size=24).map(
        lambda text: text[: len(text) & ~3]
    )


def maybe(strategy: SearchStrategy[Any] | None) -> SearchStrategy[Any]:
    """What the strategy makes, or None; always None without one."""
    return st.none() if strategy is None else st.none() | strategy


def caches(*ttls: str) -> SearchStrategy[Cache]:
    """Cache points with one of these times to live."""
    return st.sampled_from(ttls or ("", "5m", "1h")).map(Cache)


def texts(
    *,
    cache: SearchStrategy[Cache] | None = None,
    citations: SearchStrategy[tuple[Citation, ...]] | None = None,
) -> SearchStrategy[Text]:
    """Words, cached and cited if there are strategies for it."""
    return st.builds(Text, words(), maybe(cache), st.just(()) if citations is None else citations)


def media(
    kind: str,
    *,
    data: bool = False,
    url: bool = False,
    family: Family = "",
    text: bool = False,
    cache: SearchStrategy[Cache] | None = None,
    **fields: SearchStrategy[Any],
) -> SearchStrategy[Media]:
    """Media of a kind, from where the format takes it; `family`: from that provider's files."""
    given = {"kind": st.just(kind), "cache": maybe(cache), **fields}
    kinds: list[SearchStrategy[Media]] = []
    if data:
        kinds.append(
            st.builds(Media, **{"media_type": st.just(MEDIA_TYPES[kind]), "data": tokens(), **given})
        )
    if url:
        kinds.append(st.builds(Media, **{"url": names().map("https://files.example/{}".format), **given}))
    if family:
        kinds.append(st.builds(Media, **{"file_id": names(), "origin": st.just(family), **given}))
    if text:
        kinds.append(st.builds(Media, **{"media_type": st.just("text/plain"), "text": words(), **given}))
    return st.one_of(kinds)


def thoughts(family: Family, *, unsigned: bool = False, hidden: bool = False) -> SearchStrategy[Thinking]:
    """Thoughts that this family signed; unsigned or hidden ones too, if the format knows them."""
    signed = st.builds(Thinking, text=words(), signature=tokens(), origin=st.just(family))
    kinds: list[SearchStrategy[Thinking]] = [signed]
    if unsigned:
        kinds.append(st.builds(Thinking, text=words()))
    if hidden:
        kinds.append(st.builds(Thinking, signature=tokens(), hidden=st.just(True), origin=st.just(family)))
    return st.one_of(kinds)


def calls(
    *, cache: SearchStrategy[Cache] | None = None, ids: SearchStrategy[str] | None = None, family: Family = ""
) -> SearchStrategy[ToolCall]:
    """Calls of functions; with `family`, some are signed."""
    plain = {
        "id": names() if ids is None else ids,
        "name": names(),
        "arguments": st.sampled_from(ARGUMENTS),
        "cache": maybe(cache),
    }
    if not family:
        return st.builds(ToolCall, **plain)
    return st.builds(ToolCall, **plain) | st.builds(
        ToolCall, **plain, signature=tokens(), origin=st.just(family)
    )


def tools(
    *, cache: SearchStrategy[Cache] | None = None, strict: SearchStrategy[bool | None] | None = None
) -> SearchStrategy[Tool]:
    """Functions to call."""
    return st.builds(
        Tool,
        name=names(),
        description=st.just("") | words(),
        schema=st.sampled_from(SCHEMAS),
        strict=st.none() if strict is None else strict,
        cache=maybe(cache),
    )


def name_of(thing: Tool | ToolCall) -> str:
    """Its name, for `unique_by`."""
    return thing.name


@st.composite
def dialogues(
    draw: st.DrawFn,
    *,
    said: SearchStrategy[Text | Media],
    answered: SearchStrategy[Text | Media | Refusal] | None = None,
    thought: SearchStrategy[Thinking] | None = None,
    calls: SearchStrategy[ToolCall] | None = None,
    returned: SearchStrategy[Text | Media] | None = None,
    fails: bool = True,
    named_results: bool = True,
    result_cache: SearchStrategy[Cache] | None = None,
    inside: SearchStrategy[Text] | None = None,
    mixed: bool = True,
    prefill: bool = True,
) -> tuple[Message, ...]:
    """Turns in valid alternation, from a user's on; every call has its result in the user's message after it.

    `inside`: system messages between turns. `mixed`: a user's message may hold results and words. `named_results`:
    results know their function's name (a reader finds it in the call). `prefill`: the last turn may be the model's.
    """
    messages: list[Message] = []
    pending: list[ToolCall] = []
    taken: set[str] = set()
    for turn in range(draw(st.integers(1, 3))):
        if inside is not None and turn and not pending and draw(st.booleans()):
            messages.append(Message("system", (draw(inside),)))
        results = [
            ToolResult(
                id=call.id,
                name=call.name if named_results else "",
                parts=tuple(draw(st.lists(texts() if returned is None else returned, max_size=2))),
                failed=fails and draw(st.booleans()),
                cache=draw(maybe(result_cache)),
            )
            for call in pending
        ]
        fewest = 0 if results else 1
        own = [] if results and not mixed else draw(st.lists(said, min_size=fewest, max_size=3))
        messages.append(Message("user", (*results, *own)))
        pending = [] if calls is None else draw(st.lists(calls, max_size=3, unique_by=_id_of))
        pending = [call for call in pending if call.id not in taken]
        taken.update(call.id for call in pending)
        spoken: list[Part] = [] if thought is None else draw(st.lists(thought, max_size=2))
        spoken += draw(
            st.lists(texts() if answered is None else answered, min_size=0 if pending else 1, max_size=2)
        )
        messages.append(Message("assistant", (*spoken, *pending)))
    if pending or not prefill or draw(st.booleans()):
        messages.pop()
    return tuple(messages)


def _id_of(call: ToolCall) -> str:
    return call.id


# --- what is asked ---------------------------------------------------------------------------------

_SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
SETTINGS: dict[str, SearchStrategy[Any]] = {
    "max_tokens": st.integers(1, 64_000),
    "temperature": _SHARES,
    "top_p": _SHARES,
    "top_k": st.integers(1, 100),
    "stop": st.lists(words(), min_size=1, max_size=4, unique=True).map(tuple),
    "seed": st.integers(0, 1 << 31),
    "frequency_penalty": st.sampled_from([-2.0, 0.5, 2.0]),
    "presence_penalty": st.sampled_from([-2.0, 0.5, 2.0]),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "verbosity": st.sampled_from(["low", "medium", "high"]),
    "parallel_tool_calls": st.booleans(),
    "stream": st.booleans(),
    "user": names(),
    "service_tier": st.sampled_from(["flex", "priority"]),
    "tool_choice": st.sampled_from(
        [
            ToolChoice(mode="auto"),
            ToolChoice(mode="none"),
            ToolChoice(mode="required"),
            ToolChoice(mode="tool", name="?"),
        ]
    ),
    "format": st.builds(
        Format,
        kind=st.just("json_schema"),
        name=names(),
        schema=st.sampled_from(SCHEMAS),
        strict=st.just(True),
    ),
    "reasoning": st.sampled_from(["minimal", "low", "medium", "high"]).map(
        lambda effort: Reasoning(effort=effort)
    ),
}
"""Fields of a request as most formats express them; override those that yours has otherwise."""


def settings(*names: str) -> dict[str, SearchStrategy[Any]]:
    """The usual strategies of these fields."""
    return {name: SETTINGS[name] for name in names}


def requests(
    messages: SearchStrategy[tuple[Message, ...]], **fields: SearchStrategy[Any]
) -> SearchStrategy[Request]:
    """Requests in which each of the fields is set or not; without tools nobody chooses among them."""
    return st.fixed_dictionaries({"messages": messages}, optional=fields).map(_request)


def _request(fields: dict[str, Any]) -> Request:
    tools, choice = fields.get("tools", ()), fields.get("tool_choice")
    if not tools:
        fields = {
            name: value
            for name, value in fields.items()
            if name not in ("tool_choice", "parallel_tool_calls")
        }
    elif choice is not None and choice.mode == "tool":
        fields = {**fields, "tool_choice": ToolChoice(mode="tool", name=tools[0].name)}
    return Request(**fields)


# --- what is answered ------------------------------------------------------------------------------


def usages(*buckets: str) -> SearchStrategy[Usage]:
    """Usage in these of its buckets."""
    return st.fixed_dictionaries(dict.fromkeys(buckets, st.integers(0, 1 << 20))).map(
        lambda counts: Usage(**counts)
    )


def logprobs() -> SearchStrategy[tuple[Logprob, ...]]:
    """How likely some tokens were."""
    one = st.builds(Logprob, token=words(), logprob=st.sampled_from([-0.5, -1.25]))
    full = st.builds(
        Logprob,
        token=words(),
        logprob=st.sampled_from([-0.5, -1.25]),
        top=st.lists(one, max_size=2).map(tuple),
    )
    return st.lists(full, min_size=1, max_size=3).map(tuple)


def replies(
    parts: SearchStrategy[ReplyPart],
    *,
    stops: Sequence[Stop] = ("end", "length"),
    most: int = 4,
    **fields: SearchStrategy[Any],
) -> SearchStrategy[Reply]:
    """Answers of such parts; an answer with calls waits for them. Neighbours that a stream would join are thinned out."""

    def finished(given: dict[str, Any]) -> Reply:
        kept = given["parts"]
        if any(isinstance(part, ToolCall) for part in kept):
            given = {**given, "stop": "tool_calls"}
        return Reply(**given)

    always = {
        "id": names(),
        "model": names(),
        "parts": st.lists(parts, min_size=1, max_size=most).map(_apart),
        "stop": st.sampled_from(stops),
    }
    always |= {name: fields.pop(name) for name in always if name in fields}
    return st.fixed_dictionaries(always, optional=fields).map(finished)


def _apart(parts: list[ReplyPart]) -> tuple[ReplyPart, ...]:
    kept: list[ReplyPart] = []
    ids: set[str] = set()
    for part in parts:
        if isinstance(part, ToolCall):
            if part.id in ids:
                continue
            ids.add(part.id)
        elif kept and _joins(kept[-1], part):
            continue
        kept.append(part)
    return tuple(kept)


def _joins(before: ReplyPart, part: ReplyPart) -> bool:
    if isinstance(before, Thinking):
        return isinstance(part, Thinking) and not before.signature
    return isinstance(part, Text | Refusal) and type(before) is type(part)


def bare(reply: Reply) -> Reply:
    """The reply without the provider's own usage object, which another format words otherwise."""
    return msgspec.structs.replace(reply, raw_usage=b"")
