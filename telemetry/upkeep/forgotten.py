"""Who was erased: digests only, with a key of this installation, so that the list itself names nobody.

Whoever is on it stays without a trace, whatever is still in the journal or is sent again, until taken off it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from pathlib import Path

import msgspec

from telemetry.follower import write_whole
from telemetry.records import Call, Injection, Outcome

ERASED = "erased"
"""User of the rows that stay for their money."""
_KEY_BYTES = 32

_list = msgspec.json.Decoder(dict[str, int])


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user of one environment of a project."""

    project: str
    environment: str
    user: str


class Forgotten:
    """The list, in a file of its own. Asked by the collector's threads, changed by others.

    `key_path`: where its key is kept; made for the first who is put on the list.
    """

    def __init__(self, path: Path, key_path: Path) -> None:
        self._path = path
        self._key_path = key_path
        self._key = b""
        self._lock = threading.Lock()
        self._since: dict[str, int] = {}
        self._read_ns = 0
        if path.exists():
            self._since = _list.decode(path.read_bytes())

    def __bool__(self) -> bool:
        return bool(self._since)

    def __contains__(self, person: Person) -> bool:
        return bool(person.user and self._since) and self.digest(person) in self._since

    def names(self, person: Person) -> bool:
        """Say whether a person is on the list as it is now: for a process that does not change it itself."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if changed_ns != self._read_ns:
            with self._lock:
                self._since = _list.decode(self._path.read_bytes())
                self._read_ns = changed_ns
        return person in self

    def digest(self, person: Person) -> str:
        """Return what stands for a person on the list."""
        self._key = self._key or key_at(self._key_path)
        told = msgspec.json.encode(msgspec.structs.astuple(person))
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()

    def add(self, person: Person, now_us: int) -> int:
        """Put a person on the list, for good when this returns; return since when they stand there."""
        with self._lock:
            digest = self.digest(person)
            self._save({**self._since, digest: self._since.get(digest, now_us)})
            return self._since[digest]

    def remove(self, person: Person) -> bool:
        """Take a person off the list; False if they were not on it."""
        with self._lock:
            digest = self.digest(person)
            there = digest in self._since
            if there:
                self._save({one: since for one, since in self._since.items() if one != digest})
            return there

    def _save(self, since: dict[str, int]) -> None:
        write_whole(self._path, msgspec.json.encode(since))
        self._since = since  # replaced, not changed: whoever looks something up needs no lock


def key_at(path: Path) -> bytes:
    """Return the key kept in this file, made at the first asking; OSError if it cannot be kept."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, os.urandom(_KEY_BYTES))
        path.chmod(0o600)
    return path.read_bytes()


def person_of(call: Call) -> Person:
    """Return whose call it is."""
    return Person(project=call.project, environment=call.environment, user=call.user_id)


def nameless(call: Call) -> Call:
    """Return the call with what is needed to bill and to find it, and nothing of its user."""
    return msgspec.structs.replace(
        call,
        user_id=ERASED,
        agent_id="",
        thread_id="",
        tags=(),
        properties={},
        parameters={},
        span_name="",
    )


def wordless(outcome: Outcome) -> Outcome:
    """Return the outcome without anything that was said in it."""
    memory = outcome.memory
    quiet = [msgspec.structs.replace(one, error_message="", request_id="") for one in outcome.attempts]
    return msgspec.structs.replace(
        outcome,
        error_message="",
        response_id="",
        attempts=tuple(quiet),
        guardrails=(),
        memory=Injection(status=memory.status, tokens=memory.tokens, latency_us=memory.latency_us),
    )
