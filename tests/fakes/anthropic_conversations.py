"""What Anthropic's format can express, as hypothesis makes it up; and its official client on a canned stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
from anthropic.types import Message as SdkMessage
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gateway.translation.base import Answering
from gateway.translation.conversation import (
    Citation,
    Format,
    Message,
    Reasoning,
    Reply,
    Request,
    Text,
    ToolChoice,
)
from telemetry.records import Usage
from tests.fakes.conversations import (
    SCHEMAS,
    caches,
    calls,
    dialogues,
    media,
    name_of,
    names,
    replies,
    requests,
    settings,
    texts,
    thoughts,
    tools,
    usages,
    words,
)

CASSETTES = Path(__file__).parents[3] / "shared/conformance/cassettes"
LIVELY = "claude-sonnet-4-6"
"""Takes the most: budgets and efforts, temperatures."""
LATER = "claude-opus-4-8"
"""Takes system messages between others."""


def cited(family: Any = "anthropic") -> SearchStrategy[Text]:
    """Words that are cited as a whole."""

    def text(said: str, quotes: list[str]) -> Text:
        return Text(said, None, tuple(_citation(quote, len(said), family) for quote in quotes))

    return st.builds(text, words(), st.lists(words(), max_size=2))


def _citation(quote: str, end: int, family: Any) -> Citation:
    raw = msgspec.json.encode(
        {
            "type": "char_location",
            "cited_text": quote,
            "document_index": 1,
            "document_title": None,
            "start_char_index": 0,
            "end_char_index": len(quote),
        }
    ).decode()
    return Citation(quote=quote, document=1, start=0, end=end, raw=raw, origin=family)


_said = (
    texts(cache=caches())
    | media("image", data=True, url=True, family="anthropic", cache=caches())
    | media(
        "document",
        data=True,
        family="anthropic",
        text=True,
        cache=caches(),
        name=st.just("") | words(),
        cite=st.booleans(),
    )
)
_returned = texts() | media("image", data=True) | media("document", text=True)


def conversations(*, inside: bool = False) -> SearchStrategy[tuple[Message, ...]]:
    """Dialogues that can be said; with `inside`, system messages stand where Anthropic wants them."""
    plain = dialogues(
        said=_said,
        answered=texts(cache=caches()) | cited(),
        thought=thoughts("anthropic", hidden=True),
        calls=calls(cache=caches()),
        returned=_returned,
        result_cache=caches(),
        prefill=False,
    )
    if not inside:
        return plain
    return st.builds(_with_system, plain, texts(cache=caches()), st.integers(0, 2))


def _with_system(messages: tuple[Message, ...], text: Text, turn: int) -> tuple[Message, ...]:
    at = min(2 * turn + 1, len(messages))
    return (*messages[:at], Message("system", (text,)), *messages[at:])


def _settled(request: Request) -> Request:
    """Without what Anthropic's rules leave out: a thinking model neither samples nor is made to call."""
    reasoning = request.reasoning
    choice = request.tool_choice
    changes: dict[str, Any] = {}
    if reasoning is not None and reasoning.budget != 0:
        changes.update(temperature=None, top_p=None, top_k=None)
        if choice is not None and choice.mode in ("required", "tool"):
            choice = ToolChoice(mode="auto")
        if (reasoning.budget or 0) > 0:
            changes["max_tokens"] = (reasoning.budget or 0) + 1 + (request.max_tokens or 0)
    elif request.temperature is not None:
        changes["top_p"] = None
    if request.parallel_tool_calls is False and (choice is None or choice.mode == "none"):
        choice = ToolChoice(mode="auto")
    if not request.tools:
        choice = None
    return msgspec.structs.replace(
        request, **{"max_tokens": request.max_tokens or 9, "tool_choice": choice, **changes}
    )


_reasonings = st.one_of(
    st.sampled_from(["low", "medium", "high", "max"]).map(lambda effort: Reasoning(effort=effort)),
    st.builds(Reasoning, budget=st.just(-1), show=st.sampled_from([None, True, False])),
    st.builds(Reasoning, budget=st.integers(1024, 9999), show=st.sampled_from([None, True, False])),
    st.just(Reasoning(budget=0)),
)


def expressible(*, inside: bool = False) -> SearchStrategy[Request]:
    """Requests that lose nothing: for LATER with `inside`, else for LIVELY."""
    fields = settings("max_tokens", "top_k", "stop", "stream", "user", "tool_choice", "temperature", "top_p")
    if inside:
        fields = settings("max_tokens", "stop", "stream", "user", "tool_choice")
    return requests(
        conversations(inside=inside),
        **fields,
        **({} if inside else {"reasoning": _reasonings}),
        system=st.lists(texts(cache=caches()), max_size=2).map(tuple),
        tools=st.lists(
            tools(cache=caches(), strict=st.sampled_from([None, True, False])), max_size=3, unique_by=name_of
        ).map(tuple),
        parallel_tool_calls=st.just(False),
        service_tier=st.just("standard_only"),
        format=st.sampled_from(SCHEMAS).map(lambda schema: Format(kind="json_schema", schema=schema)),
    ).map(_settled)


def answers() -> SearchStrategy[Reply]:
    """Answers that an Anthropic client can be told."""
    return replies(
        cited()
        | thoughts("anthropic", unsigned=True, hidden=True)
        | thoughts("openai", hidden=True)
        | calls(family="gemini"),
        stops=("end", "length", "refusal", "pause", "context"),
        usage=usages(
            "input_uncached",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "output_text",
            "output_reasoning",
            "web_searches",
        ),
        service_tier=st.sampled_from(["", "priority"]),
        id=names().map("msg_{}".format),
    ).map(_counted)


def _counted(reply: Reply) -> Reply:
    """With the usage that clients require."""
    return reply if reply.usage is not None else msgspec.structs.replace(reply, usage=Usage())


def answering(request: Request | None = None) -> Answering:
    """The call that is answered."""
    asked = request or Request(messages=(Message("user", (Text("Hello"),)),))
    return Answering(call_id="0197-cafe", created_s=1_700_000_000, model="gpt-5", request=asked)


def sdk_message(stream: bytes) -> SdkMessage:
    """The message that the official client puts together from a stream."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        anthropic.Anthropic(api_key="k", base_url="http://there", http_client=http, max_retries=0) as client,
        client.messages.stream(
            model=LIVELY, max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
        ) as told,
    ):
        return told.get_final_message()
