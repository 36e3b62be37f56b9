"""What lies in a folder that a house goes on changing meanwhile."""

from __future__ import annotations

import os
from pathlib import Path


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is in every file below, but for those that go meanwhile, as parts of tables do that are merged."""
    found: dict[Path, bytes] = {}
    for place, _, names in os.walk(folder):  # passes over a folder that has gone; `rglob` fails
        for path in (Path(place, name) for name in names):
            try:
                if path.is_file():
                    found[path] = path.read_bytes()
            except FileNotFoundError:
                continue
    return found


def holding(folder: Path, words: bytes) -> list[str]:
    """Return the names of the files in which the words stand."""
    return [path.name for path, said in contents(folder).items() if words in said]
