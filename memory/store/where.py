"""Conditions as SQL: values are parameters, and only words of ours are statements."""

from __future__ import annotations

from memory.filters import All, Compare, Condition, Not, Some
from memory.records import Moment

AT = (
    " AND m.hidden = 0 AND (m.expires_us = 0 OR m.expires_us > :now)"
    " AND (:ended = 1 OR (m.valid_from_us <= :at AND (m.valid_to_us = 0 OR m.valid_to_us > :at))) "
)
"""The memories of a moment, out of `memories m`; takes the parameters of `at`."""


_PAIRS = "FROM json_each(CAST(m.metadata AS TEXT)) pair"


def at(moment: Moment, now_us: int) -> dict[str, int]:
    """Return the parameters of `AT`."""
    return {"now": now_us, "ended": int(moment.superseded), "at": moment.as_of_us or now_us}


def where(condition: Condition) -> tuple[str, dict[str, object]]:
    """Return the condition over `memories m`, and its parameters."""
    parameters: dict[str, object] = {}
    return f" AND {_sql(condition, parameters)} ", parameters


def _sql(condition: Condition, parameters: dict[str, object]) -> str:
    match condition:
        case Compare():
            return _test(condition, parameters)
        case Not(part):
            return f"NOT {_sql(part, parameters)}"
        case All(parts):
            return "(" + " AND ".join(["1 = 1", *(_sql(part, parameters) for part in parts)]) + ")"
        case Some(parts):
            return "(" + " OR ".join(_sql(part, parameters) for part in parts) + ")"


def _test(test: Compare, parameters: dict[str, object]) -> str:
    value = f"filter{len(parameters)}"
    if test.field == "metadata":
        parameters[f"{value}name"] = test.name
        equal = f"EXISTS (SELECT 1 {_PAIRS} WHERE pair.key = :{value}name AND {_is(test, value, parameters)})"
    elif test.field == "category":
        parameters[value] = str(test.value)
        equal = (
            f"EXISTS (SELECT 1 {_PAIRS} WHERE (pair.key = 'category' AND pair.type = 'text' AND pair.value = :{value})"  # noqa: S608 - ours
            " OR CASE WHEN pair.key = 'categories' AND pair.type = 'array' THEN"
            f" EXISTS (SELECT 1 FROM json_each(pair.value) one WHERE one.value = :{value}) ELSE FALSE END)"
        )
    else:
        parameters[value] = str(test.value) if test.field == "kind" else test.value
        return f"m.{test.field} {test.comparison} :{value}"
    return equal if test.comparison == "=" else f"NOT {equal}"


def _is(test: Compare, value: str, parameters: dict[str, object]) -> str:
    """Return the condition that the pair's value is this one and of its type."""
    match test.value:
        case None:
            return "pair.type = 'null'"
        case bool():
            return f"pair.type = '{str(test.value).lower()}'"
        case str():
            parameters[value] = test.value
            return f"pair.type = 'text' AND pair.value = :{value}"
        case _:
            parameters[value] = test.value
            number = f"CAST(pair.value AS NUMERIC) = :{value}"
            return f"CASE WHEN pair.type IN ('integer', 'real') THEN {number} ELSE FALSE END"
