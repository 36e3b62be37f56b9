"""Opens the memory: its ledger, its index and the model that embeds, in the right order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from memory.capture import Redact
from memory.embed import Embedder
from memory.engine import Engine, key_of
from memory.local import FindFormer, former_here
from memory.sealed import UNSEALED, Sealer
from memory.shelf import Shelf
from memory.store.edge import EdgeIndexes
from memory.store.index import Indexes
from memory.store.place import open_ledger, shared_key
from memory.store.sqlite import SqlLedger

FindIndexes = Callable[[], Indexes]
"""Reaches the place where collections lie. Raises IndexAway."""


def open_engine(
    folder: Path,
    embedder: Callable[[Path], Embedder],
    *,
    redact: Redact = str,
    indexes: FindIndexes | None = None,
    former: FindFormer = former_here,
    ledger_url: str = "",
    sealer: Sealer = UNSEALED,
    start: bool = True,
) -> Engine:
    """Open the stores in `folder`; to `start` is to heal them and to follow.

    `ledger_url`: of a server that has the ledger. Raises StoreBusy, EmbedderAway, LedgerAway, WrongKey.
    """
    models = folder / "models"
    model = embedder(models)
    with contextlib.ExitStack() as opened:
        places = indexes() if indexes else EdgeIndexes(folder / "index")
        opened.callback(places.close)
        connections = open_ledger(folder, ledger_url, sealer=sealer)
        opened.callback(connections.close)
        key = shared_key(connections, key_of(folder))
        ledger = SqlLedger(connections, key=key)
        shelf = Shelf(ledger.collections, places, model, former=partial(former, models))
        opened.callback(shelf.close)
        engine = Engine(ledger, shelf, key=key, redact=redact)
        if start:
            engine.start()
        opened.pop_all()  # it is the engine that closes them now
    return engine
