"""The texts of `queries/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_QUERIES = Path(__file__).parents[1] / "queries"


@cache
def load(name: str) -> str:
    """Return a query's text, `{{calls}}` being the calls as they were written."""
    return text_of(name).replace("{{calls}}", "spans")


@cache
def load_corrected(name: str) -> str:
    """Return a query's text, `{{calls}}` being the calls with what they cost after all."""
    return text_of(name).replace("{{calls}}", text_of("calls_corrected"))


@cache
def text_of(name: str) -> str:
    """Return a file's text, with the columns of a call where it wants them."""
    text = (_QUERIES / f"{name}.sql").read_text()
    return text.replace("{{call_columns}}", (_QUERIES / "call_columns.sql").read_text().strip())
