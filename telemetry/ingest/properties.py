"""What of a log has no column of its own: tags, parameters of the model, and properties."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from telemetry.ingest.fields import MAX_ID, Item, Wrong, part
from telemetry.redact import OVERLAP, replace_secrets

LOG_ID = "respan.gateway.log_id"
"""Names the gateway's own row of a call, whose usage and cost then stand there alone."""
MAX_PROPERTIES = 64
MAX_PROPERTY = 1024
"""Characters of a value in the metadata; what is longer is cut."""
MAX_TAGS = 64

ANSWER = ("output", "completion_message", "completion_messages", "full_response", "tool_calls", "reasoning")
"""What was answered; all else is what was asked, or stands beside it."""
PARAMETERS = (
    *("temperature", "top_p", "n", "max_tokens", "max_completion_tokens", "frequency_penalty"),
    *("presence_penalty", "reasoning_effort", "parallel_tool_calls", "top_logprobs", "dimensions"),
    *("encoding_format",),
)
MODELLED = frozenset(
    (
        *("unique_id", "start_time", "timestamp", "custom_identifier", "customer_identifier", "agent_id"),
        *("status", "status_code", "error_message", "model", "stream", "log_type", "metrics", "step", "tags"),
        *("usage", "prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens", "reasoning_tokens"),
        *(
            "prompt_cache_creation_tokens",
            "cost",
            "latency",
            "generation_time",
            "time_to_first_token",
            "ttft",
        ),
        *("metadata", "properties", "customer_params", "disable_log", "environment", "provider_id", "user"),
        *("trace_unique_id", "span_unique_id", "span_parent_id", "span_name", "response_id", "service_tier"),
        *("deployment_name", "thread_identifier", "input", "full_request", "ideal_output", "prompt_messages"),
        *("messages", "respan_params", "keywordsai_params", LOG_ID, *ANSWER, *PARAMETERS),
    )
)
"""What has a place in a row or in its payload, so that it need not be a property as well."""

_plain = msgspec.json.Decoder(str | int | float | bool | None)


def tags_of(item: Item) -> tuple[str, ...]:
    """Return its tags; raise Wrong."""
    if "tags" not in item:
        return ()
    try:
        found = msgspec.json.decode(item["tags"], type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong("tags", "must be a list of strings") from error
    if len(found) > MAX_TAGS or any(not 1 <= len(tag) <= MAX_ID or not tag.isprintable() for tag in found):
        raise Wrong("tags", f"takes at most {MAX_TAGS} tags of 1 to {MAX_ID} printable characters")
    return tuple(dict.fromkeys(found))


def parameters_of(item: Item) -> dict[str, bool | int | float | str]:
    """Return the plain parameters that the model was asked with."""
    found: dict[str, bool | int | float | str] = {}
    for name in PARAMETERS:
        value = _scalar(item[name]) if name in item else None
        if value is not None and (not isinstance(value, int) or abs(value) < 1 << 63):
            found[name] = value[:MAX_ID] if isinstance(value, str) else value
    return found


def properties_of(item: Item) -> dict[str, str]:
    """Return what is plain: of the metadata first, then of the customer, then of fields without a place."""
    customer = part(item, "customer_params")
    about = {f"customer_{name}": customer[name] for name in ("email", "name") if name in customer}
    rest = {name: raw for name, raw in item.items() if name not in MODELLED}
    places = (
        *(part(item, "metadata"), part(item, "properties")),
        *({name: raw for name, raw in rest.items() if name.startswith("customer_")}, about, rest),
    )
    found: dict[str, str] = {}
    for index, place in enumerate(places):
        for name, value in texts(place, nested=index < 2):
            if len(found) < MAX_PROPERTIES:
                found.setdefault(name, value)
    return found


def texts(place: Item, *, nested: bool) -> Iterator[tuple[str, str]]:
    """Yield names and values as text; an object or list as its JSON, where `nested` ones count."""
    for name, raw in place.items():
        value = _scalar(raw)
        if not 1 <= len(name) <= MAX_ID or not name.isprintable() or bytes(raw) == b"null":
            continue
        if value is None and nested:
            yield name, _short(bytes(raw).decode(errors="replace"))
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif value is not None:
            yield name, _short(str(value))


def _scalar(raw: msgspec.Raw) -> str | int | float | bool | None:
    """Return a plain value; None for anything else."""
    try:
        value: str | int | float | bool | None = _plain.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value


def _short(said: str) -> str:
    return clean(said[: MAX_PROPERTY + OVERLAP])[:MAX_PROPERTY]


def clean(said: str) -> str:
    """Return what somebody wrote without its secrets."""
    return replace_secrets(said.encode(errors="replace"))[0].decode(errors="replace")
