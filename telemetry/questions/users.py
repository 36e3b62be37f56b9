"""What a user cost, from the rollup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from telemetry.answers import CostRow, Totals, UserCost, dollars, totals
from telemetry.questions.asker import Asker
from telemetry.questions.scope import Scope
from telemetry.store.base import Row


class UserQuestions(Asker):
    """Asks about users."""

    def user_cost(
        self,
        scope: Scope,
        user_id: str,
        *,
        days: tuple[str, str],
        group_by: Sequence[Literal["day", "model"]],
    ) -> UserCost:
        """Return what a user cost between two days, both included."""
        rows = self._ask(
            "user_cost",
            {
                **scope.parameters(),
                "user_id": user_id,
                "from_day": days[0],
                "to_day": days[1],
                "by_day": int("day" in group_by),
                "by_model": int("model" in group_by),
            },
        )
        sums = {name: sum(row[name] for row in rows) for name in Totals.model_fields if name != "cost_usd"}
        return UserCost(
            user_id=user_id,
            from_day=days[0],
            to_day=days[1],
            group_by=list(group_by),
            rows=[_cost_row(row) for row in rows],
            total=totals(sums, Totals),
        )


def _cost_row(row: Row) -> CostRow:
    named = {**row, "day": row["day"] or None, "model": row["model"] or None}
    return CostRow(**named, cost_usd=dollars(row["cost_nano_usd"]))
