"""A provider that nobody here wrote: aimock, from npm."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.tidegate import eventually

CLIENTS = Path(__file__).parents[1] / "e2e" / "clients"
NAME = "aimock"


def install_clients() -> Path:
    """Install what `package.json` names; return the folder."""
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    subprocess.run(command, cwd=CLIENTS, check=True)
    return CLIENTS


@contextmanager
def signed(words: int) -> Iterator[str]:
    """Run one that answers everything with so many times `aimock-<number>`, each time another; give its origin."""
    with subprocess.Popen(
        ["node", "aimock_signed.mjs", str(words)], cwd=install_clients(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield eventually(process.stdout.readline, what="aimock to start").strip()
        finally:
            process.kill()
