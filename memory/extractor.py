"""What finds memories in messages, as `AsyncMemory.add(infer=True)` and capture see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from memory.scope import Scope


class Extractor(Protocol):
    """Reads messages in the background and applies what it finds with `Engine.apply`."""

    def extract(
        self,
        scope: Scope,
        messages: Sequence[Mapping[str, Any]],
        *,
        occurred_at_us: int,
        metadata: Mapping[str, Any],
        actor: str,
        instructions: str = "",
        procedural: bool = False,
    ) -> str:
        """Note the messages, durably, and return the id of the job; may block on disk, never on a model.

        `instructions`: of this call alone. `procedural`: one summary of how a run went, for its agent.
        """
        ...
