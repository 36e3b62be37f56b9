"""`GET /v1/models` the way OpenAI's clients expect it.

Source: https://platform.openai.com/docs/api-reference/models/list (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the list."""

    id: str
    object: str = "model"
    created: int = 0
    """Unix seconds; 0 as nobody tells us."""
    owned_by: str


class _List(msgspec.Struct):
    object: str
    data: list[Model]


def model_list(models: Iterable[Model]) -> bytes:
    """Render the whole list."""
    return msgspec.json.encode(_List("list", list(models)))


def model(entry: Model) -> bytes:
    """Render one model."""
    return msgspec.json.encode(entry)
