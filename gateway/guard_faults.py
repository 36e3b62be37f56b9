"""What can be wrong with the settings of guardrails, of the cache of answers and of what is sealed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.patterns import BadPattern, compiled
from gateway.settings import Cache, Encryption, Guardrail, Settings

Fault = tuple[tuple[str, ...], str, str]
"""Where, what, and the remedy."""

_REQUESTS_ONLY = ("prompt_tokens", "tools")
_OWN = {
    "kinds": "pii",
    "words": "words",
    "patterns": "words",
    "max_tokens": "prompt_tokens",
    "tools": "tools",
    "url": "http",
    "headers": "http",
}
"""Whose settings these are."""
_PATTERNS = ("keys", "projects", "routes")


def guard_faults(settings: Settings) -> Iterator[Fault]:
    """Yield every fault."""
    names: set[str] = set()
    for index, guardrail in enumerate(settings.guardrails):
        place = ("guardrails", str(index))
        if not guardrail.name.strip() or guardrail.name in names:
            yield (*place, "name"), "empty, or the name of another", "Give each a name of its own."
        names.add(guardrail.name)
        for inner, what, remedy in _guardrail_faults(guardrail):
            yield (*place, *inner), what, remedy
    yield from _cache_faults(settings.cache)
    yield from _sealing_faults(settings.encryption)


def _guardrail_faults(guardrail: Guardrail) -> Iterator[Fault]:
    check = guardrail.check
    for field, owner in _OWN.items():
        if getattr(guardrail, field) and check != owner:
            yield (field,), f"not a setting of `{check}`", f"It belongs to `check: {owner}`."
    if not guardrail.when:
        yield ("when",), "empty: it never runs", "Write `[request]`, `[answer]` or both."
    if check in _REQUESTS_ONLY and "request" not in guardrail.when:
        yield ("when",), f"`{check}` knows requests only", "Write `when: [request]`."
    if check in _REQUESTS_ONLY and guardrail.action == "redact":
        yield ("action",), f"`{check}` has nothing to redact", "Choose block or flag."
    if check == "words" and not (guardrail.words or guardrail.patterns):
        yield ("words",), "neither words nor patterns", "Name what is denied."
    if check == "prompt_tokens" and guardrail.max_tokens < 1:
        yield ("max_tokens",), "not a number of tokens", "Choose 1 or more."
    for number, pattern in enumerate(guardrail.patterns):
        try:
            compiled(pattern)
        except BadPattern as error:
            yield ("patterns", str(number)), f"not a pattern of RE2: {error}", "See its syntax."
    yield from _service_faults(guardrail)
    yield from _pattern_faults(guardrail)


def _service_faults(guardrail: Guardrail) -> Iterator[Fault]:
    if guardrail.check != "http":
        return
    url = urlsplit(guardrail.url)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.username:
        yield ("url",), "not a plain http:// or https:// URL", "Write `https://host/path`."
    if guardrail.timeout_s <= 0:
        yield ("timeout_s",), "not a time", "Choose more than 0 seconds."
    for name, value in guardrail.headers.items():
        if not (name.isascii() and value.isascii() and f"{name}{value}".isprintable()):
            yield ("headers", name), "not usable as a header", "Write ASCII without line breaks."


def _cache_faults(cache: Cache) -> Iterator[Fault]:
    for field in ("max_mb", "max_answer_kb"):
        if getattr(cache, field) < 1:
            yield ("cache", field), "not a size", "Choose 1 or more."
    for index, rule in enumerate(cache.rules):
        place = ("cache", "rules", str(index))
        if rule.ttl_s <= 0:
            yield (*place, "ttl_s"), "not a time", "Choose more than 0 seconds."
        for inner, what, remedy in _pattern_faults(rule):
            yield (*place, *inner), what, remedy


def _sealing_faults(encryption: Encryption) -> Iterator[Fault]:
    for index, pattern in enumerate(encryption.projects):
        if not pattern.strip():
            yield ("encryption", "projects", str(index)), *_EMPTY


def _pattern_faults(section: object) -> Iterator[Fault]:
    for field in _PATTERNS:
        if any(not pattern.strip() for pattern in getattr(section, field)):
            yield (field,), *_EMPTY


_EMPTY = ("an empty pattern fits nothing", "Write `*`, or leave it out.")
