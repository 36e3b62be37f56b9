"""`GET /v1/models` the way Anthropic's clients expect it.

Source: https://docs.anthropic.com/en/api/models-list and anthropic-sdk-python 2.12.0, types/model_info.py (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class _Model(msgspec.Struct):
    id: str
    display_name: str
    type: str = "model"
    created_at: str = "1970-01-01T00:00:00Z"
    """The documented value where nobody tells us."""
    lifecycle: str = "active"


class _List(msgspec.Struct):
    data: list[_Model]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


def model_list(names: Iterable[str]) -> bytes:
    """Render the whole list as one page."""
    models = [_Model(name, name) for name in names]
    first, last = (models[0].id, models[-1].id) if models else (None, None)
    return msgspec.json.encode(_List(models, first, last))


def model(name: str) -> bytes:
    """Render one model."""
    return msgspec.json.encode(_Model(name, name))
