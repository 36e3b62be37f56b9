"""How the words of a project lie in a ledger: as they are, or sealed. The only place that knows.

Writers ask `connection.words_of` and seal what they bind; readers need nothing, as rows come out opened. What was
written before a project was sealed, or while it was, stays as it is and is read all the same. Names by which something
is looked up stand as keyed digests; whoever looks one up asks `connection.names_in` for all that it may be called.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from memory.errors import WrongKey
from memory.sealed import PREFIX, UNSEALED, Sealer

_TEXT = PREFIX.decode()
_LENGTH = len(PREFIX)
_PROOF = b"whoever reads this has the key"
_SAID = ("text", "old_text", "new_text", "quote", "subject", "predicate", "object", "block")
_NAMED = ("name", "type", "source", "target")
_TO_READ = ("words", "before", "instructions", "operations", "body")
_COLUMNS = frozenset((*_SAID, *_NAMED, *_TO_READ))
"""What is opened, whatever table it is from. All of it is written by way of `Words`: nobody has a seal of another
project opened by calling himself so."""


class Statements(Protocol):
    """As much of a connection as is needed here."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Any:  # noqa: ANN401 - as a connection says
        """Run a statement."""
        ...


class Words:
    """The words of one project on their way into a ledger."""

    def __init__(self, sealer: Sealer, project: str, *, sealed: bool, ever: bool) -> None:
        self._sealer = sealer
        self._project = project
        self._sealed = sealed
        self._ever = ever

    def seal(self, text: str) -> str:
        """Return a text as it is kept; an empty one stays empty."""
        if self._sealed and text:
            return self._sealer.seal(self._project, text.encode()).decode()
        return f" {text}" if text.startswith(_TEXT) else text

    def pack(self, data: bytes) -> bytes:
        """Return bytes as they are kept."""
        return self._sealer.seal(self._project, data) if self._sealed else data

    def name(self, name: str) -> str:
        """Return how a name is kept that is looked up."""
        return self._digest(name) if self._sealed and name else name

    def names(self, names: Iterable[str]) -> dict[str, str]:
        """Return all that these names may be kept as, and which is which."""
        plain = {name: name for name in names}
        return plain | {self._digest(name): name for name in plain if name} if self._ever else plain

    def also(self, kept: str, name: str) -> set[str]:
        """Return all that may stand for a name, of which `kept` is one if it is this one."""
        forms = self.names([name])
        return set(forms) if kept in forms else {kept}

    def _digest(self, name: str) -> str:
        return self._sealer.digest(self._project, name.encode()).hex()


OPEN = Words(UNSEALED, "", sealed=False, ever=False)
"""Of whoever seals nothing."""


class Sealing:
    """What the connections of one ledger seal and open with."""

    def __init__(self, sealer: Sealer = UNSEALED) -> None:
        self._sealer = sealer
        self._ever: set[str] = set()
        self._of: dict[int, Words] = {}

    def prepare(self, connection: Statements) -> None:
        """Find out whose words lie sealed here. Raises WrongKey if they cannot be opened."""
        for project, proof in connection.execute("SELECT project, proof FROM seals"):
            if self._sealer.open(proof.encode()) != _PROOF:
                raise WrongKey(f"memories of the project {project!r} were sealed with another master key")
            self._ever.add(project)

    @property
    def opens(self) -> bool:
        """Whether rows may hold anything sealed."""
        return self._sealer.any or bool(self._ever)

    def row(self, cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> sqlite3.Row:
        """Return a row whose words can be read."""
        for value in values:  # written out, as a recall reads hundreds of rows
            if value.__class__ is str and value[:_LENGTH] == _TEXT:
                break
            if value.__class__ is bytes and value[:_LENGTH] == PREFIX:
                break
        else:
            return sqlite3.Row(cursor, values)
        return sqlite3.Row(cursor, self.opened([column[0] for column in cursor.description], values))

    def opened(self, columns: Iterable[str], values: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row's values as they were before they were sealed."""
        return tuple(
            self._open(value) if column in _COLUMNS and _is_sealed(value) else value
            for column, value in zip(columns, values, strict=True)
        )

    def begin(self) -> None:
        """Forget what the transaction before has found out: it may have been rolled back."""
        self._of.clear()

    def words(self, project: str) -> Words:
        """Return how this project's words are kept."""
        if not self.opens:
            return OPEN
        sealed = self._sealer.seal(project, _PROOF) != _PROOF
        return Words(self._sealer, project, sealed=sealed, ever=sealed or project in self._ever)

    def words_of(self, connection: Statements, scope_id: int) -> Words:
        """Return how the words of this scope are kept, and keep a proof of the key. Inside a transaction."""
        if not self.opens:
            return OPEN
        if (known := self._of.get(scope_id)) is not None:
            return known
        (project,) = connection.execute("SELECT project FROM scopes WHERE id = ?", (scope_id,)).fetchone()
        words = self.words(project)
        if (proof := words.pack(_PROOF)) != _PROOF:
            connection.execute(
                "INSERT INTO seals VALUES (?, ?) ON CONFLICT DO NOTHING", (project, proof.decode())
            )
        self._of[scope_id] = words
        return words

    def _open(self, value: str | bytes) -> str | bytes:
        if isinstance(value, str):
            return self._sealer.open(value.encode()).decode()
        return self._sealer.open(value)


def _is_sealed(value: object) -> bool:
    return (isinstance(value, str) and value.startswith(_TEXT)) or (
        isinstance(value, bytes) and value.startswith(PREFIX)
    )
