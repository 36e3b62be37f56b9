"""`GET /v1beta/models` the way Gemini's clients expect it.

Source: https://ai.google.dev/api/models (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

METHODS = ("generateContent", "countTokens", "embedContent")
"""Nobody tells us which a model has."""


class _Model(msgspec.Struct, rename="camel"):
    name: str
    display_name: str
    supported_generation_methods: tuple[str, ...] = METHODS


class _List(msgspec.Struct):
    models: list[_Model]


def model_list(names: Iterable[str]) -> bytes:
    """Render the whole list as one page."""
    return msgspec.json.encode(_List([_Model(f"models/{name}", name) for name in names]))


def model(name: str) -> bytes:
    """Render one model."""
    return msgspec.json.encode(_Model(f"models/{name}", name))
