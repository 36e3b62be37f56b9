"""Charts in the page's own colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

_TEXT = {"color": "var(--mild)"}
_LINE = {"lineStyle": {"color": "var(--line)"}}


def bars(values: Mapping[str, float | None], *, unit: str = "") -> ui.echart:
    """Draw a bar for each name; there is none where the value is not known.

    Drawn as SVG, so that its colours are variables of the style sheet and change with it.
    """
    options: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 4, "right": 36, "top": 12, "bottom": 0, "containLabel": True},
        "xAxis": {"data": list(values), "axisLabel": _TEXT, "axisLine": _LINE, "axisTick": {"show": False}},
        "yAxis": {
            "axisLabel": _TEXT | {"formatter": f"{unit}{{value}}"},
            "splitLine": _LINE,
            "splitNumber": 3,
        },
        "tooltip": {
            "trigger": "axis",
            "formatter": f"{{b}}<br>{unit}{{c}}",
            "axisPointer": {"type": "none"},
            "backgroundColor": "var(--raised)",
            "borderColor": "var(--line)",
            "textStyle": {"color": "var(--ink)"},
        },
        "series": [
            {
                "type": "bar",
                "data": [value or None for value in values.values()],  # nothing is no bar
                "barMaxWidth": 28,
                "itemStyle": {"color": "var(--accent)"},
                "emphasis": {"disabled": True},
            }
        ],
    }
    return ui.echart(options, renderer="svg").classes("tg-chart")
