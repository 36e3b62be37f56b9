"""Seals the words of those projects whose words are sealed at rest, each with a key of its own."""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
from collections.abc import Callable

from gateway.access import matches
from gateway.master_key import BadMasterKey, derive
from gateway.sealing import BadSeal, Seal
from gateway.settings import Encryption
from telemetry.sealed import PREFIX

PURPOSE = "words at rest"
_NAMES = "names at rest"
_DIGEST_BYTES = 16


class Seals:
    """A `Sealer` of both `telemetry.sealed` and `memory.sealed`. May be asked by several threads."""

    def __init__(self, settings: Encryption, master: Callable[[], bytes]) -> None:
        """`master` is asked for the master key when it is first needed."""
        self._patterns = settings.projects
        self._master = master
        self._lock = threading.Lock()
        self._made: dict[str, Seal] = {}
        self._names: dict[str, bytes] = {}

    @property
    def any(self) -> bool:
        """Whether any project's words are sealed."""
        return bool(self._patterns)

    def seal(self, project: str, plain: bytes) -> bytes:
        """Return them sealed, or as they are if the project's words lie open. Raises BadMasterKey.

        Open words that look sealed get a blank before them: what somebody copied elsewhere must not be opened.
        """
        if not self._patterns or not matches(self._patterns, project):
            return b" " + plain if plain.startswith(PREFIX) else plain
        whose = project.encode()
        sealed = self._seal(project).seal(plain, whose)
        return PREFIX + base64.b64encode(whose) + b":" + base64.b64encode(sealed)

    def open(self, said: bytes) -> bytes:
        """Return what was sealed, whether or not the project's words are sealed now; else as it is."""
        if not said.startswith(PREFIX):
            return said
        try:
            whose, _, sealed = said[len(PREFIX) :].partition(b":")
            project = base64.b64decode(whose, validate=True)
            seal = self._seal(project.decode())
            return seal.open(base64.b64decode(sealed, validate=True), project)
        except (binascii.Error, UnicodeDecodeError, BadSeal, BadMasterKey):
            return said

    def digest(self, project: str, name: bytes) -> bytes:
        """Return what a sealed name is found again by: the same for the same name of a project. Raises BadMasterKey."""
        with self._lock:
            key = self._names.get(project)
            if key is None:
                key = self._names[project] = derive(self._master(), _NAMES, about=project)
        return hmac.digest(key, name, "sha256")[:_DIGEST_BYTES]

    def _seal(self, project: str) -> Seal:
        with self._lock:
            seal = self._made.get(project)
            if seal is None:
                seal = self._made[project] = Seal(derive(self._master(), PURPOSE, about=project))
            return seal
