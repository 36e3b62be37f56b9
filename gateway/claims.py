"""What a request says of whom and what it is for, in the words of all gateways whose users may come to this one.

One table: for each field of an identity the places in a body where it may stand, the first one that is
filled counts. Read off the documentation and code of the peers in November 2026: OpenAI (`user`,
`safety_identifier`, `metadata`, `conversation`), Anthropic (`metadata.user_id`), Respan (`customer_identifier`
and the like, also inside `respan_params`), LiteLLM, Langfuse, Portkey, TensorZero, OpenRouter, Vercel and Mem0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from gateway.errors import BadRequest

MAX_ID = 255
MAX_TAGS = 64
MAX_PROPERTIES = 64
MAX_PROPERTY = 1024
"""Characters of a property's value; what is longer is cut."""

_WRAPPERS = ("", "respan_params.", "keywordsai_params.")


def _respan(*names: str) -> tuple[str, ...]:
    return tuple(wrapper + name for wrapper in _WRAPPERS for name in names)


PLACES: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "user",
        "safety_identifier",
        "metadata.user_id",
        "metadata.customer_identifier",
        *_respan("customer_identifier", "customer_params.customer_identifier"),
        "metadata._user",
        "metadata.trace_user_id",
        "metadata.langfuse_user_id",
        "mem0_params.user_id",
    ),
    "agent_id": ("metadata.agent_id", "mem0_params.agent_id"),
    "thread_id": (
        "litellm_session_id",
        "metadata.session_id",
        *_respan("trace_group_identifier", "thread_identifier", "session_identifier"),
        "session_id",
        "metadata.langfuse_session_id",
        "metadata.thread_id",
        "conversation",
        "conversation.id",
    ),
    "event_id": (*_respan("custom_identifier"), "metadata.event_id", "tensorzero::episode_id"),
    "trace_id": ("metadata.trace_id", *_respan("trace_unique_id"), "trace.trace_id"),
    "parent_span_id": ("metadata.parent_span_id", *_respan("span_parent_id"), "trace.parent_span_id"),
    "step": ("metadata.generation_name", "metadata.span_name", *_respan("span_name"), "trace.span_name"),
    "environment": ("metadata.environment",),
}
_TAGS = ("metadata.tags", "providerOptions.gateway.tags")
_PROPERTIES = ("metadata", "tensorzero::tags", *_respan("metadata", "properties"))
_TAKEN = frozenset(
    {path.removeprefix("metadata.") for paths in PLACES.values() for path in paths if "metadata." in path}
    | {"tags"}
)
_STRICT = frozenset(_respan("customer_identifier", "custom_identifier", "thread_identifier"))
"""Fields that only a gateway reads, so a wrong one is an error. OpenAI takes any `user`: one that is no id is no id."""
_CLAUDE_CODE = re.compile(r"(user_[^_]+_account_[^_]*)_session_([^_]+)")


class _Packed(msgspec.Struct):
    device_id: str | None = None
    account_uuid: str | None = None
    session_id: str | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Ids by field of `Identity`, and what else was said of the call."""

    ids: dict[str, str]
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}


def read(said: Mapping[str, Any]) -> Claims:
    """Return what a decoded body, or an object in a header, claims. Raises BadRequest."""
    ids = {field: found for field, paths in PLACES.items() if (found := _first(said, paths))}
    _split_session(ids)
    return Claims(
        ids=ids,
        tags=tuple(dict.fromkeys(tag for path in _TAGS for tag in _tags(_at(said, path))))[:MAX_TAGS],
        properties=dict(
            [pair for path in reversed(_PROPERTIES) for pair in properties_of(_at(said, path))][
                :MAX_PROPERTIES
            ]
        ),
    )


def properties_of(value: object) -> Iterator[tuple[str, str]]:
    """Yield the plain entries of an object, without those that are read as ids."""
    if not isinstance(value, Mapping):
        return
    for name, entry in value.items():
        if name in _TAKEN or not isinstance(name, str) or not 1 <= len(name) <= MAX_ID:
            continue
        if isinstance(entry, str | int | float):
            text = str(entry)[:MAX_PROPERTY] if not isinstance(entry, bool) else str(entry).lower()
            if text.isprintable():
                yield name, text


def is_id(value: str) -> bool:
    """Say whether this can be the id of anything; `*` never means everybody."""
    return 1 <= len(value) <= MAX_ID and value != "*" and value.isprintable()


def _first(said: Mapping[str, Any], paths: tuple[str, ...]) -> str:
    for path in paths:
        value = _at(said, path)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not (text := value.strip()):
            continue
        if is_id(text):
            return text
        if path in _STRICT:
            raise BadRequest(
                f"{path}: an id has 1 to {MAX_ID} printable characters and is not `*`",
                code="invalid_identifier",
                param=path,
            )
    return ""


def _at(said: Mapping[str, Any], path: str) -> object:
    value: object = said
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _split_session(ids: dict[str, str]) -> None:
    """Part what Claude Code sends as one: `user_<hash>_account_<uuid>_session_<uuid>`, or since 2026 an object.

    The object is `{"device_id", "account_uuid", "session_id"}` as a string (seen in 2.1.197). Whatever looks
    otherwise is an id as it stands: cut short, it could be another user's.
    """
    said = ids.get("user_id", "")
    user: str | None = None
    thread: str | None = None
    if (match := _CLAUDE_CODE.fullmatch(said)) is not None:
        user, thread = match.groups()
    elif said.startswith("{"):
        with suppress(msgspec.DecodeError, RecursionError):
            packed = msgspec.json.decode(said, type=_Packed)
            user, thread = packed.account_uuid or packed.device_id, packed.session_id
    if user and thread and is_id(user) and is_id(thread):
        ids["user_id"] = user
        ids.setdefault("thread_id", thread)


def _tags(value: object) -> Iterator[str]:
    found = value.split(",") if isinstance(value, str) else value
    if isinstance(found, list):
        for tag in found:
            if isinstance(tag, str) and is_id(tag.strip()):
                yield tag.strip()
