"""A data folder as a first start leaves it: the ledger's tables, the prices, the memory's model.

Making them is most of what a start costs, so the houses of a test run begin from copies. Those that are about a
first start ask for an empty folder.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from gateway.config import environment

_LEDGER = ("clickhouse", "clickhouse.xml", "prices.msgpack")
_MODEL = "memory/models"


def place(pid: int | None = None) -> Path:
    """Return the folder of this test run, which its worker processes share."""
    run = pid or (os.getppid() if "PYTEST_XDIST_WORKER" in environment() else os.getpid())
    return Path(tempfile.gettempdir()) / f"tidegate-begun-{run}"


def begin(data: Path, make: Callable[[Path], Path], *, memory: bool) -> None:
    """Fill a folder, with the memory's model or without; `make` starts and ends a house in the folder it is given, and returns its data folder."""
    root = place()
    root.mkdir(exist_ok=True)
    if root == place(os.getpid()):
        atexit.register(shutil.rmtree, root, ignore_errors=True)
    done = root / "done"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _copy(make(root / "house"), root / "data", (*_LEDGER, _MODEL))
            shutil.rmtree(root / "house")
            done.touch()
    _copy(root / "data", data, (*_LEDGER, _MODEL) if memory else _LEDGER)


def _copy(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        there = target / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, there, symlinks=True)
        elif (source / name).exists():
            shutil.copy2(source / name, there)
