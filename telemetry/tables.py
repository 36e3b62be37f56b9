"""Tables as files: CSV, JSON lines or Parquet, written piece by piece, so that length costs no memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow 26 ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # as above
from typing_extensions import override

from telemetry.answers import dollars, iso
from telemetry.store.base import Row

Kind = Literal["text", "count", "flag", "moment", "nano", "usd", "texts", "map", "numbers", "nanos", "json"]
"""`moment`: microseconds since 1970. `nano`: billionths of a US dollar; `usd`: the same value, as exact dollars."""
Format = Literal["csv", "jsonl", "parquet"]

_ARROW: dict[Kind, Any] = {
    "text": pa.string(),
    "count": pa.uint64(),
    "flag": pa.bool_(),
    "moment": pa.timestamp("us", tz="UTC"),
    "nano": pa.int64(),
    "usd": pa.decimal128(19, 9),
    "texts": pa.list_(pa.string()),
    "map": pa.map_(pa.string(), pa.string()),
    "numbers": pa.map_(pa.string(), pa.float64()),
    "nanos": pa.map_(pa.string(), pa.int64()),
    "json": pa.string(),
}
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes text that begins so for a formula. Source: OWASP, "CSV Injection", read Nov 2026."""

_encode = msgspec.json.Encoder().encode


class Column(msgspec.Struct, frozen=True):
    """One column of a file."""

    name: str
    kind: Kind = "text"
    source: str = ""
    """Where a row has the value, if not under this name."""

    def value(self, row: Row) -> Any:  # noqa: ANN401  # whatever the store has
        """Return what a row has for this column."""
        return row[self.source or self.name]


class Writer(Protocol):
    """Writes one file."""

    media_type: str

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return some more of the file."""
        ...

    def end(self) -> bytes:
        """Return the rest of it."""
        ...


class CsvWriter:
    """RFC 4180 with a line of names; a cell of text that a spreadsheet would compute begins with an apostrophe."""

    media_type = "text/csv; charset=utf-8"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._text = io.StringIO(newline="")
        self._csv = csv.writer(self._text)
        self._csv.writerow(_harmless(column.name) for column in columns)

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the lines, the first time behind the names."""
        self._csv.writerows(
            [_cell(column.kind, column.value(row)) for column in self._columns] for row in rows
        )
        written = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return written

    def end(self) -> bytes:
        """Return the names, if there was no row."""
        return self.rows(())


class JsonLinesWriter:
    """One JSON object a line."""

    media_type = "application/x-ndjson"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the lines."""
        lines = (
            _encode({column.name: _told(column.kind, column.value(row)) for column in self._columns})
            for row in rows
        )
        return b"".join(line + b"\n" for line in lines)

    def end(self) -> bytes:
        """Return nothing: the last line was whole."""
        return b""


class ParquetWriter:
    """Parquet, one row group for each piece."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([(column.name, _ARROW[column.kind]) for column in columns])
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the row group."""
        arrays = [
            pa.array([_arrow(column.kind, column.value(row)) for row in rows], _ARROW[column.kind])
            for column in self._columns
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def end(self) -> bytes:
        """Return the footer, without which no reader takes the file."""
        self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """Hands over what was written since the last time."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """Return it."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


WRITERS: dict[Format, type[CsvWriter | JsonLinesWriter | ParquetWriter]] = {
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
}


def written(shape: Format, columns: Sequence[Column], batches: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """Yield a file, piece by piece."""
    writer: Writer = WRITERS[shape](columns)
    for batch in batches:
        if batch:
            yield writer.rows(batch)
    yield writer.end()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _cell(kind: Kind, value: object) -> str | int:
    """A value as a cell of CSV; what nobody knows is an empty one."""
    if value is None:
        return ""
    told = _told(kind, value)
    if kind == "usd":
        return str(told)
    if isinstance(told, str):
        return _harmless(told)
    if isinstance(told, bool):
        return "true" if told else "false"
    if isinstance(told, int):
        return told
    return _encode(told).decode()


def _told(kind: Kind, value: Any) -> Any:  # noqa: ANN401  # whatever the store has
    """A value as JSON."""
    if value is None:
        return None
    match kind:
        case "usd":
            return dollars(value)
        case "moment":
            return iso(value)
        case "texts":
            return list(value)
        case "json":
            return msgspec.Raw(value.encode()) if value else None
        case _:
            return value


def _arrow(kind: Kind, value: Any) -> Any:  # noqa: ANN401  # as above
    """A value as Arrow takes it."""
    if value is None:
        return None
    match kind:
        case "usd":
            return Decimal(value).scaleb(-9)
        case "map" | "numbers" | "nanos":
            return list(value.items())
        case _:
            return value
