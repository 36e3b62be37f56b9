"""From one log, as Respan's clients send it, to the record of a call.

Field names and aliases were read off respan-sdk 2.9.0 (November 2026). What has no column of its own becomes a
property if it is plain, and everything stands in the payload as it was sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec

from telemetry import log_ids
from telemetry.frames import Kind
from telemetry.ingest import fields
from telemetry.ingest.books import Books
from telemetry.ingest.fields import Item, Wrong, first, identifier
from telemetry.ingest.properties import ANSWER, LOG_ID, clean, parameters_of, properties_of, tags_of
from telemetry.journal import Told
from telemetry.payloads import Body
from telemetry.questions import Scope
from telemetry.records import Call, Capture, Cost, Outcome, Usage

SURFACE = "log"
STEPS = ("retrieval", "synthesis", "extraction", "orchestration")
SENDER = "sender"
"""The price row of a cost that the sender told."""
LINKED = "linked"
"""The price row of a log whose cost stands in another row."""
NO_MODEL = "no_model"
"""The price row of a step, as a workflow or a tool, that names neither a model nor tokens nor a cost."""

_MOST_RAW_USAGE = 16 * 1024


class Sender(Scope, frozen=True):
    """Who sends, as a worker tells it."""

    key_id: str = ""
    store: str = "full"


class Reader:
    """Reads logs. `version` is the gateway's; bodies longer than `cut_bytes` say that they are cut."""

    def __init__(self, books: Books, *, now_us: Callable[[], int], cut_bytes: int, version: str = "") -> None:
        self._books = books
        self._now_us = now_us
        self._cut_bytes = cut_bytes
        self._version = version

    def read(self, raw: bytes, sender: Sender) -> Told:
        """Return the call; raise Wrong, naming the field."""
        item = fields.item_of(raw)
        asked, answered = _bodies(item)
        call, total_us = self._call(item, sender)
        outcome = self._outcome(item, call, total_us)
        bodies: list[tuple[Kind, Body]] = []
        capture: Capture = "none"
        if sender.store == "full" and not fields.flag(item, "disable_log"):
            longest = max(asked.total, answered.total)
            capture = "cut" if longest > self._cut_bytes else "full"
            bodies = [("request", asked), ("answer", answered)]
        return Told(
            msgspec.structs.replace(call, request_bytes=asked.total),
            msgspec.structs.replace(outcome, response_bytes=answered.total, capture=capture),
            [(kind, body) for kind, body in bodies if body.total],
        )

    def _call(self, item: Item, sender: Sender) -> tuple[Call, int]:
        """Return the call, and how long it took."""
        environment = sender.environment
        if sender.open:
            environment = identifier(item, "environment") or environment
        log_id = identifier(item, "unique_id") or uuid.uuid4().hex
        started_at_us, total_us = self._times(item)
        call_id = log_ids.call_id_of(sender.project, environment, log_id)
        ids = _identity(item)
        made = not ids["event_id"]
        call = Call(
            call_id,
            started_at_us,
            SURFACE,
            operation=identifier(item, "log_type") or "text",
            project=sender.project,
            environment=environment,
            key_id=sender.key_id,
            event_id_made=made,
            tags=tags_of(item),
            properties=properties_of(item),
            model=identifier(item, "model"),
            stream=fields.flag(item, "stream"),
            parameters=parameters_of(item),
            memory="off",
            gateway=self._version,
            metrics=fields.metrics(item, "metrics"),
            kind="log",
            log_id=log_id,
            links_to=_link(item),
        )
        return msgspec.structs.replace(
            call, **{**ids, "event_id": call_id if made else ids["event_id"]}
        ), total_us

    def _times(self, item: Item) -> tuple[int, int]:
        """Return when it began and how long it took; `timestamp` is when it ended."""
        now_us = self._now_us()
        latency_us = _given(fields.seconds, item, "latency", "generation_time")
        began = fields.moment(item, "start_time", now_us=now_us)
        ended = fields.moment(item, "timestamp", now_us=now_us)
        if began is None:
            return (ended if ended is not None else now_us) - (latency_us or 0), latency_us or 0
        if latency_us is None and ended is not None:
            if ended < began:
                raise Wrong("timestamp", "is before start_time: is the sender's clock right?")
            latency_us = ended - began
        return began, latency_us or 0

    def _outcome(self, item: Item, call: Call, total_us: int) -> Outcome:
        code = fields.status_code(item, "status_code") or 0
        message = clean(fields.text(item, "error_message"))
        said = fields.text(item, "status").lower()
        failed = code >= 400 or (not code and bool(message)) or said in ("error", "failed")
        provider = identifier(item, "provider_id") or self._books.provider(call.model)
        usage, raw_usage = self._usage(item)
        tier = identifier(item, "service_tier")
        told = fields.dollars(item, "cost")
        if call.links_to:
            counted, cost = None, Cost(0, {}, LINKED)
        elif told is not None:
            counted, cost = usage, Cost(told, {"total": told} if told else {}, SENDER)
        elif usage is None:
            counted, cost = None, Cost(reason="no_usage") if call.model else Cost(0, {}, NO_MODEL)
        else:
            cost = self._books.price(provider, call.model, usage, at_us=call.started_at_us, tier=tier)
            counted = usage
        first_token_us = _given(fields.seconds, item, "time_to_first_token", "ttft") or 0
        return Outcome(
            "error" if failed else "ok",
            code,
            "reported" if failed else "",
            error_message=message,
            provider=provider,
            deployment=identifier(item, "deployment_name"),
            response_id=identifier(item, "response_id"),
            first_byte_us=first_token_us,
            first_token_us=first_token_us,
            total_us=total_us,
            usage=counted or Usage(),
            usage_source="provider" if counted is not None else "none",
            raw_usage=raw_usage if len(raw_usage) <= _MOST_RAW_USAGE else b"",
            cost=cost,
            service_tier=tier,
        )

    def _usage(self, item: Item) -> tuple[Usage | None, bytes]:
        """Return the tokens, of `usage` or else of the flat fields, and what was said of them."""
        flat = {
            name: fields.tokens(item, name)
            for name in (
                *("prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens"),
                *("prompt_cache_creation_tokens", "reasoning_tokens"),
            )
        }
        raw = bytes(item.get("usage", b""))
        usage = self._books.usage(raw) if raw else None
        if usage is not None:
            if max(usage.input_total, usage.output_total) > fields.MOST_TOKENS:
                raise Wrong("usage", f"counts more than {fields.MOST_TOKENS:,} tokens")
            return usage, raw
        if raw.startswith(b"{") and raw != b"{}" and all(count is None for count in flat.values()):
            raise Wrong(
                "usage", "must be a usage object of OpenAI, Anthropic or Gemini: counts as whole numbers"
            )
        if all(count is None for count in flat.values()):
            return None, b""
        told = {name: count for name, count in flat.items() if count is not None}
        return _buckets(told), msgspec.json.encode(told)


def _given(read: Callable[[Item, str], int | None], item: Item, name: str, alias: str) -> int | None:
    """Return the field, or if it is not there its alias."""
    found = read(item, name)
    return read(item, alias) if found is None else found


def _buckets(told: dict[str, int]) -> Usage:
    """Return flat counts as disjoint buckets: details are parts of their totals, and clipped to them."""
    prompt, completion = told.get("prompt_tokens", 0), told.get("completion_tokens", 0)
    cache_read = min(told.get("prompt_cache_hit_tokens", 0), prompt)
    cache_write = min(told.get("prompt_cache_creation_tokens", 0), prompt - cache_read)
    reasoning = min(told.get("reasoning_tokens", 0), completion)
    return Usage(
        input_uncached=prompt - cache_read - cache_write,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output_text=completion - reasoning,
        output_reasoning=reasoning,
    )


def _identity(item: Item) -> dict[str, str]:
    customer, metadata = fields.part(item, "customer_params"), fields.part(item, "metadata")
    log_type, span_name = identifier(item, "log_type"), identifier(item, "span_name")
    named = next((name for name in (log_type, span_name) if name in STEPS), "")
    return {
        "user_id": identifier(item, "customer_identifier")
        or identifier(customer, "customer_identifier")
        or identifier(item, "user"),
        "agent_id": identifier(item, "agent_id"),
        "event_id": identifier(item, "custom_identifier") or _found(metadata, "event_id"),
        "thread_id": first(
            identifier, item, "trace_group_identifier", "thread_identifier", "session_identifier"
        ),
        "trace_id": identifier(item, "trace_unique_id"),
        "parent_span_id": identifier(item, "span_parent_id"),
        "span_id": identifier(item, "span_unique_id"),
        "span_name": span_name,
        "step": identifier(item, "step") or named,
    }


def _found(item: Item, name: str) -> str:
    """Return an id that may also be something else, which then is none."""
    try:
        return identifier(item, name)
    except Wrong:
        return ""


def _link(item: Item) -> str:
    gateway = fields.part(fields.part(item, "respan"), "gateway")
    return (
        identifier(item, LOG_ID)
        or identifier(gateway, "log_id")
        or _found(fields.part(item, "metadata"), LOG_ID)
    )


def _bodies(item: Item) -> tuple[Body, Body]:
    """Return what was asked, with all that stands beside it, and what was answered; long fields last."""
    order = sorted(item.items(), key=lambda pair: len(bytes(pair[1])))
    asked = {name: raw for name, raw in order if name not in ANSWER}
    answered = {name: raw for name, raw in order if name in ANSWER}
    return _body(asked), _body(answered)


def _body(said: dict[str, msgspec.Raw]) -> Body:
    if not said:
        return Body("application/json", [], 0)
    document = msgspec.json.encode(said)
    return Body("application/json", [document], len(document))
