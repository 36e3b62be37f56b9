"""The relation that all lists are made of: calls and logs as they are told now, of one scope and time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from telemetry.logs.columns import Column
from telemetry.questions import Range, Scope, load
from telemetry.store.base import Parameter, Row, Store

_QUERIES = Path(__file__).parents[1] / "queries"


class Relation:
    """Asks one store, for one scope."""

    def __init__(self, store: Store, scope: Scope, environment: str = "") -> None:
        self._store = store
        self._scope = scope
        self._environment = environment
        self._amended: bool | None = None

    def ask(self, name: str, parameters: Mapping[str, Parameter], **parts: str) -> list[Row]:
        """Ask what `queries/logs_<name>.sql` says, with parts of texts that stand in this package."""
        return self._store.query(self._text(name, **parts), {**self._parameters(), **parameters})

    def rows(self, time: Range, index: tuple[Column, list[str]] | None = None) -> str:
        """Return the relation as SQL; `index` narrows it to what belongs to one of these ids."""
        if self._amended is None:
            self._amended = bool(self.ask("amended", {})[0]["amended"])
        narrowed = self._text("narrowed") if index is not None else "1"
        return self._text(
            "rows" if self._amended else "rows_plain", spans_range=time.condition("spans"), narrowed=narrowed
        )

    @staticmethod
    def parameters(time: Range, index: tuple[Column, list[str]] | None = None) -> dict[str, Parameter]:
        """Return the values for what `rows` names."""
        found = time.parameters()
        if index is not None:
            column, values = index
            found |= {"index_key": column.index, "amended_key": column.amended, "index_values": values}
        return found

    def previews(self, ids: list[str], times: list[int]) -> dict[tuple[str, str], str]:
        """Return how requests and answers begin, by call id and kind; `times` are hours in which they lie."""
        rows = self._store.query(load("previews"), {**self._parameters(), "ids": ids, "times": times})
        return {(row["call_id"], row["kind"]): row["preview"] for row in rows}

    def _parameters(self) -> dict[str, Parameter]:
        return {**self._scope.parameters(), "only_environment": self._environment}

    def _text(self, name: str, **parts: str) -> str:
        text = (_QUERIES / f"logs_{name}.sql").read_text()
        for table in ("spans", "amendments", "span_index", "usage_daily"):
            scope = f"{self._scope.condition(table)} AND ({{only_environment:String}} = '' OR {table}.environment = {{only_environment:String}})"
            short = {"span_index": "index", "usage_daily": "usage"}.get(table, table)
            parts[f"{short}_scope"] = scope
        # the last ones first: a part may itself have places for others
        for part in ("rows", "narrowed", "condition", "columns", "order", *sorted(parts)):
            if part in parts:
                text = text.replace(f"{{{{{part}}}}}", parts[part])
        return text
