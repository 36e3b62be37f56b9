"""Says more of a log or a user, later: a row of its own, never a change of the call's.

What a call cost, its tokens, its times and its outcome cannot be amended.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow 26 ships no types

from telemetry.answers import Refusal
from telemetry.ingest import fields
from telemetry.ingest.fields import Wrong, identifier
from telemetry.ingest.properties import MAX_PROPERTIES, clean, texts
from telemetry.logs.people import DURATIONS, NUMBERS, TOLD
from telemetry.store.base import Block, Store

_IDS = {
    "custom_identifier": "event_id",
    "thread_identifier": "thread_id",
    "session_identifier": "thread_id",
    "customer_identifier": "user_id",
}
_PROPERTIES = (
    *("note", "category", "positive_feedback", "customer_email", "customer_name", "group_identifier"),
    "evaluation_identifier",
)
LOG_FIELDS = (*_IDS, *_PROPERTIES, "metadata")
"""What may be said of a log later."""
USER_FIELDS = (*TOLD, *NUMBERS)
"""... and of a user."""

_text = pa.string()
_time = pa.timestamp("us", tz="UTC")


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """What is said, of whom, by whom. An empty value: there is none any more."""

    target: str
    """`log` or `user`."""
    id: str
    project: str
    environment: str
    key_id: str
    started_at_us: int = 0
    """Of a log's call."""
    fields: Mapping[str, str]
    made_at_us: int

    def block(self) -> Block:
        """Return it as a row of `amendments`."""
        values = {
            **{
                name: (_text, getattr(self, name))
                for name in ("project", "environment", "target", "id", "key_id")
            },
            "started_at": (_time, self.started_at_us),
            "fields": (pa.map_(_text, _text), list(self.fields.items())),
            "made_at": (_time, self.made_at_us),
        }
        return pa.Table.from_arrays(
            [pa.array([value], kind) for kind, value in values.values()], names=list(values)
        )


def write(store: Store, amendment: Amendment) -> None:
    """Keep it; returns when the store has it."""
    store.insert("amendments", amendment.block(), token=uuid.uuid4().hex)


def of_log(body: bytes) -> dict[str, str]:
    """Read what is said of a log; raise Refusal, naming the field."""
    said = _read(body, LOG_FIELDS, "money, tokens, times and outcomes stay as they were recorded")
    found: dict[str, str] = {}
    with _Refusing():
        for name, raw in said.items():
            if name in _IDS:
                found[_IDS[name]] = identifier(said, name) if bytes(raw) != b"null" else ""
            elif name in _PROPERTIES:
                found[f"property:{name}"] = _plain(said, name)
        for name, value in texts(fields.part(said, "metadata"), nested=True):
            found[f"property:{name}"] = value
    if len(found) > MAX_PROPERTIES:
        raise Refusal(
            400, "invalid_amendment", f"metadata: at most {MAX_PROPERTIES} entries", param="metadata"
        )
    return found


def of_user(body: bytes) -> dict[str, str]:
    """Read what is said of a user; raise Refusal, naming the field."""
    said = _read(body, USER_FIELDS, "what a user used is what the ledger says")
    found: dict[str, str] = {}
    with _Refusing():
        for name in said:
            found[name] = _plain(said, name)
            if name in NUMBERS and found[name]:
                found[name] = str(fields.amount(said, name))
    duration = found.get("budget_duration", "")
    if duration and duration not in DURATIONS:
        raise Refusal(
            400,
            "invalid_amendment",
            f"budget_duration: one of {', '.join(DURATIONS)}",
            param="budget_duration",
        )
    return found


class _Refusing:
    """Turns a wrong field into a refusal."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Refuse."""
        if isinstance(error, Wrong):
            raise Refusal(400, "invalid_amendment", str(error), param=error.param) from error


def _read(body: bytes, known: tuple[str, ...], why: str) -> dict[str, msgspec.Raw]:
    try:
        body.decode()
        said = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", "the body is a JSON object of fields to change") from error
    for name in said:
        if name not in known:
            raise Refusal(
                400,
                "not_amendable",
                f"{name}: cannot be changed ({why}); can be: {', '.join(known)}",
                param=name,
            )
    if not said:
        raise Refusal(400, "invalid_amendment", f"nothing to change: {', '.join(known)} can be changed")
    return said


def _plain(said: Mapping[str, Any], name: str) -> str:
    """Return what was written, without secrets; nothing for null."""
    return "" if bytes(said[name]) == b"null" else clean(fields.text(said, name))
