"""A store in memory that fails when it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telemetry.store.base import Block, Parameter, Row, Store, StoreAway, StoreRefused, StoreState


class MemoryLedger:
    """Keeps rows by table; knows tokens; `refuse` names call ids it will not take."""

    ghost_s = 0.0

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {"spans": [], "span_payloads": []}
        self.tokens: set[str] = set()
        self.refuse: set[str] = set()
        self.away = False
        self.lose_answers = 0
        """So many inserts happen, but their caller is told nothing."""
        self.swallow = 0
        """So many inserts note their token and are gone: the worst a kill could do."""
        self.inserts: list[tuple[str, str, int]] = []
        self.commands: list[str] = []

    def command(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Note the statement."""
        self._there()
        self.commands.append(sql)

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Add the rows, or do what the test wants."""
        self._there()
        rows: list[Row] = block.to_pylist()
        if self.refuse & {row["call_id"] for row in rows}:
            raise StoreRefused("no", code=469, name="VIOLATED_CONSTRAINT")
        self.inserts.append((table, token, len(rows)))
        if token not in self.tokens:
            self.tokens.add(token)
            if self.swallow:
                self.swallow -= 1
                raise StoreAway("killed")
            self.tables[table] += rows
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreAway("connection reset")

    def lookup(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Answer the collector's look-ups."""
        self._there()
        if "'log_id'" in sql:
            return self._logs(parameters)
        table = "span_payloads" if "span_payloads" in sql else "spans"
        ids = parameters["ids"]
        assert isinstance(ids, list)
        return [
            {"call_id": row["call_id"], "part": row["kind"] if table == "span_payloads" else ""}
            for row in self.tables[table]
            if row["call_id"] in ids
        ]

    def _logs(self, parameters: Mapping[str, Parameter]) -> list[Row]:
        ids = parameters["ids"]
        assert isinstance(ids, list)
        return [
            {
                "log_id": row["log_id"],
                "call_id": row["call_id"],
                "started_at_us": round(row["started_at"].timestamp() * 1e6),
            }
            for row in self.tables["spans"]
            if row["log_id"] in ids
            and (row["project"], row["environment"]) == (parameters["project"], parameters["environment"])
        ]

    def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Answer nothing."""
        self._there()
        return []

    def ping(self) -> bool:
        """Whether it is there."""
        return not self.away

    def state(self) -> StoreState:
        """Say which store this is."""
        return StoreState(kind="memory", version="0")

    def close(self) -> None:
        """Nothing to give back."""

    def ids(self, table: str = "spans") -> list[str]:
        """Call ids of a table's rows, in order."""
        return sorted(str(row["call_id"]) for row in self.tables[table])

    def _there(self) -> None:
        if self.away:
            raise StoreAway("down")


if TYPE_CHECKING:
    _typed: Store = MemoryLedger()
