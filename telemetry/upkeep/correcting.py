"""Corrections of what calls cost, as the ledger keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow 26 ships no types

from telemetry.records import Cost
from telemetry.store.base import Row, Store

_text, _money = pa.string(), pa.int64()
_COLUMNS = {
    **dict.fromkeys(("project", "environment", "call_id"), _text),
    "started_at": pa.timestamp("us", tz="UTC"),
    **dict.fromkeys(("user_id", "key_id", "provider", "model", "kind"), _text),
    **dict.fromkeys(("old_nano_usd", "new_nano_usd", "delta_nano_usd"), _money),
    "newly_priced": pa.uint8(),
    **dict.fromkeys(("old_saved_nano_usd", "new_saved_nano_usd"), _money),
    "new_lines": pa.map_(_text, _money),
    **dict.fromkeys(("old_price_row", "old_price_version", "new_price_row", "new_price_version"), _text),
    "reason": _text,
    "corrected_at": pa.timestamp("us", tz="UTC"),
    "origin": _text,
}


def corrected(held: Row, cost: Cost, total: int, reason: str, now_us: int, origin: str) -> tuple[Any, ...]:
    """Return the correction of a call, which the ledger has with its present cost as `held`."""
    old = held["cost_nano_usd"]
    return (
        *(held["project"], held["environment"], held["call_id"], held["started_at_us"]),
        *(held["user_id"], held["key_id"], held["provider"], held["priced_model"], held["kind"]),
        *(old, total, total - (old or 0)),
        int(old is None),
        *(held["cache_saved_nano_usd"], cost.cache_saved_nano_usd),
        list(cost.lines.items()),
        *(held["price_row"], held["price_version"], cost.price_row, cost.price_version),
        *(reason, now_us, origin),
    )


def insert(store: Store, origin: str, corrections: Sequence[tuple[Any, ...]], before: Sequence[int]) -> None:
    """Add corrections, each on top of as many `before` it; raise StoreError. An insert whose answer was lost is not repeated."""
    arrays = [
        pa.array(column, kind)
        for column, kind in zip(zip(*corrections, strict=True), _COLUMNS.values(), strict=True)
    ]
    told = [origin, [(row[2], *row[9:12]) for row in corrections], list(before)]
    token = hashlib.sha256(msgspec.json.encode(told)).hexdigest()
    store.insert(
        "cost_corrections", pa.Table.from_arrays(arrays, names=list(_COLUMNS)), token=f"rerate:{token}"
    )
