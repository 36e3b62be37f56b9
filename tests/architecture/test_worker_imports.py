"""What a worker must not import: it would be slow to start and heavy to keep."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

HEAVY = (
    "chdb",
    "qdrant_client",
    "qdrant_edge",
    "onnxruntime",
    "litellm",
    "fastapi",
    "starlette",
    "pydantic",
    "nicegui",
    "clickhouse_connect",
    "pyarrow",
    "numpy",
    "cryptography",
    "memory",
)
PROGRAM = """
import sys
import gateway.processes.worker
import msgspec
sys.stdout.buffer.write(msgspec.json.encode(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Every module that an interpreter holds after importing a worker."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    return {name.partition(".")[0] for name in msgspec.json.decode(done.stdout, type=list[str])}


def test_a_worker_imports_what_it_is_made_of(imported: set[str]) -> None:
    assert {"gateway", "telemetry", "uvloop", "httptools", "msgspec"} <= imported


@pytest.mark.parametrize("package", HEAVY)
def test_a_worker_does_not_import(imported: set[str], package: str) -> None:
    assert package not in imported
