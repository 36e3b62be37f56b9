"""Which guardrails a call has, and what each of them looks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.access import matches
from gateway.guardrails.base import TextCheck
from gateway.guardrails.denied import DeniedPatterns, DeniedWords, Several
from gateway.guardrails.external import External
from gateway.guardrails.pii import Pii
from gateway.guardrails.secrets import Secrets
from gateway.settings import Guardrail
from gateway.transport import Transport

_MOST_KEPT = 4096


class Guard(msgspec.Struct, frozen=True, eq=False):
    """A guardrail ready for use: one of `text` and `external` looks, or neither if it judges the request as a whole."""

    settings: Guardrail
    text: TextCheck | None = None
    external: External | None = None


class Rules:
    """All guardrails of the installation."""

    def __init__(self, settings: Sequence[Guardrail], transports: Mapping[str, Transport]) -> None:
        self._guards = tuple(_guard(one, transports) for one in settings)
        self._known: dict[tuple[str, str, str], tuple[Guard, ...]] = {}

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return bool(self._guards)

    def of(self, project: str, key: str, route: str) -> tuple[Guard, ...]:
        """Return the guardrails of such calls, in their order."""
        asked = project, key, route
        found = self._known.get(asked)
        if found is None:
            found = tuple(guard for guard in self._guards if _holds(guard.settings, project, key, route))
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[asked] = found
        return found


def _holds(settings: Guardrail, project: str, key: str, route: str) -> bool:
    asked = ((settings.projects, project), (settings.keys, key), (settings.routes, route))
    return all(not patterns or matches(patterns, name) for patterns, name in asked)


def _guard(settings: Guardrail, transports: Mapping[str, Transport]) -> Guard:
    match settings.check:
        case "secrets":
            return Guard(settings, Secrets())
        case "pii":
            return Guard(settings, Pii(settings.kinds))
        case "words":
            return Guard(settings, Several(DeniedWords(settings.words), DeniedPatterns(settings.patterns)))
        case "http":
            return Guard(settings, external=External(settings, transports))
        case _:
            return Guard(settings)
