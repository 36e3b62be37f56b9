"""What an embedder's cosines mean, found out from an installation's own memories."""

from __future__ import annotations

from pathlib import Path

import msgspec

from memory.clock import Clock, SystemClock
from memory.recall.gate import calibrated
from memory.sealed import UNSEALED, Sealer
from memory.store import sql_gates as gates
from memory.store.connection import Connections
from memory.store.place import open_ledger

_PAIRS = 5000


class Calibration(msgspec.Struct, frozen=True):
    """An embedder's gate, if there were pairs enough to find it."""

    fingerprint: str
    pairs: int
    dense: float | None


def calibrate(
    folder: Path, clock: Clock | None = None, *, ledger_url: str = "", sealer: Sealer = UNSEALED
) -> list[Calibration]:
    """Find the gate of every embedder with vectors in this folder, and keep it; the next recall goes by it."""
    connections = open_ledger(folder, ledger_url, sealer=sealer)
    try:
        return [
            _one(connections, fingerprint, clock or SystemClock())
            for fingerprint in gates.fingerprints(connections.read())
        ]
    finally:
        connections.close()


def _one(connections: Connections, fingerprint: str, clock: Clock) -> Calibration:
    pairs = gates.unrelated(connections.read(), fingerprint, _PAIRS)
    dense = calibrated(pairs)
    if dense is not None:
        with connections.write() as connection:
            gates.set_gate(connection, fingerprint, dense, len(pairs), clock.now_us())
    return Calibration(fingerprint, len(pairs), dense)
