"""The fields of a request body that say whom it is for, whatever its format."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import claims
from gateway.claims import Claims

_ABSENT = msgspec.UNSET


class Claiming(msgspec.Struct):
    """Base of the bodies of all formats. See `gateway.claims` for what is read in them."""

    # the provider's own: they are read and go on
    user: Any = _ABSENT
    safety_identifier: Any = _ABSENT
    metadata: Any = _ABSENT
    conversation: Any = _ABSENT
    # a gateway's: they are read and taken out
    customer_identifier: Any = _ABSENT
    customer_params: Any = _ABSENT
    customer_email: Any = _ABSENT
    customer_name: Any = _ABSENT
    thread_identifier: Any = _ABSENT
    session_identifier: Any = _ABSENT
    trace_group_identifier: Any = _ABSENT
    group_identifier: Any = _ABSENT
    custom_identifier: Any = _ABSENT
    evaluation_identifier: Any = _ABSENT
    trace_unique_id: Any = _ABSENT
    trace_name: Any = _ABSENT
    span_unique_id: Any = _ABSENT
    span_parent_id: Any = _ABSENT
    span_name: Any = _ABSENT
    span_workflow_name: Any = _ABSENT
    properties: Any = _ABSENT
    respan_params: Any = _ABSENT
    keywordsai_params: Any = _ABSENT
    litellm_session_id: Any = _ABSENT
    litellm_trace_id: Any = _ABSENT
    mem0_params: Any = _ABSENT
    session_id: Any = _ABSENT
    trace: Any = _ABSENT
    provider_options: Any = msgspec.field(default=_ABSENT, name="providerOptions")
    episode_id: Any = msgspec.field(default=_ABSENT, name="tensorzero::episode_id")
    episode_tags: Any = msgspec.field(default=_ABSENT, name="tensorzero::tags")


_FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(Claiming))
_COUNT = len(_FIELDS)
_NOTHING = (_ABSENT,) * _COUNT
_KEPT = frozenset({"user", "safety_identifier", "metadata", "conversation"})


def claimed(body: Claiming) -> tuple[Claims | None, tuple[str, ...]]:
    """Return what the body claims, if anything, and the fields no provider is to see. Raises BadRequest."""
    values = msgspec.structs.astuple(body)[:_COUNT]
    if values == _NOTHING:
        return None, ()
    said = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not _ABSENT}
    return claims.read(said), tuple(name for name in said if name not in _KEPT)
