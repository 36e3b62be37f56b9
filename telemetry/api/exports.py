"""Routes that hand out whole tables as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from telemetry.api.asking import Asked, Scoped, Strict
from telemetry.api.errors import ERRORS
from telemetry.api.narrowing import Narrowed
from telemetry.api.ranges import Month
from telemetry.api.sums import By, Order
from telemetry.questions import Range
from telemetry.questions.exports import CALL_COLUMNS, sum_columns
from telemetry.store.base import Row
from telemetry.tables import WRITERS, Column, Format, written

_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file. A connection that ends early means that it is not whole.",
        "content": {
            writer.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for writer in WRITERS.values()
        },
    }
}

_MONEY = (
    "Money is integer billionths of a US dollar and exact dollars beside them; empty where nobody knows it."
)

router = APIRouter(responses=ERRORS, dependencies=[Strict], default_response_class=StreamingResponse)

Shape = Annotated[
    Format,
    Query(
        alias="format",
        description="CSV as RFC 4180 says, with names in the first line; text that a spreadsheet would compute"
        " begins with an apostrophe. JSON lines. Parquet.",
    ),
]


@router.get(
    "/api/calls/export",
    tags=["calls"],
    responses=_FILES,
    description="Hand out calls as a file, this month's unless asked otherwise, hour after hour. Times that end in"
    f" `_us` are microseconds. {_MONEY} Columns, to which more are only added at the end: "
    + ", ".join(column.name for column in CALL_COLUMNS),
)
def export_calls(
    who: Scoped, ask: Asked, filters: Narrowed, within: Month, *, shape: Shape = "csv"
) -> StreamingResponse:
    """Hand out calls as a file."""
    return _file("calls", shape, within, CALL_COLUMNS, ask.all_calls(who, filters, within))


@router.get(
    "/api/costs/export",
    tags=["costs"],
    responses=_FILES,
    description=f"Hand out sums as a file, this month's unless asked otherwise. {_MONEY} Columns: what is grouped"
    f" by, as asked for, and then {', '.join(column.name for column in sum_columns(()))}",
)
def export_costs(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    within: Month,
    by: By,
    *,
    sort: Order = "group",
    shape: Shape = "csv",
) -> StreamingResponse:
    """Hand out sums as a file."""
    return _file("costs", shape, within, sum_columns(by), ask.all_costs(who, filters, within, by, sort))


def _file(
    name: str, shape: Format, within: Range, columns: Sequence[Column], batches: Iterable[Sequence[Row]]
) -> StreamingResponse:
    """Answer with a file; what goes wrong before its first piece is told as an error, later it breaks the connection."""
    pieces: Iterator[bytes] = written(shape, columns, batches)
    first = next(pieces)
    start, end = within.days
    filename = f"tidegate-{name}-{start}-to-{end}.{shape}"
    headers = {"content-disposition": f'attachment; filename="{filename}"', "cache-control": "no-store"}
    return StreamingResponse(chain((first,), pieces), headers=headers, media_type=WRITERS[shape].media_type)
