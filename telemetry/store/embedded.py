"""The ledger in a folder: ClickHouse inside this process (chDB).

One process may open a folder, and one folder per process; a forked child hangs. So only the
telemetry process imports this module.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client

from telemetry.store.clickhouse import ClickHouseStore, translated

DATABASE = "tidegate"

_INTERPRETED = {"compile_expressions": 0, "compile_aggregate_expressions": 0, "compile_sort_description": 0}
"""Without these an expression that is met for the third time is compiled, for 40 ms of CPU; of a million calls no
question was answered quicker for it (`make bench-ledger`, chDB 4.4, 2026-11-22)."""

logger = logging.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedded engine and its readers may use."""

    memory_mb: int = 2048
    """Of the whole engine; its own default is nine tenths of the machine."""
    mark_cache_mb: int = 64
    read_memory_mb: int = 1024
    read_s: int = 20
    threads: int = 0
    """Of one query; 0: all cores but one."""


def open_folder(folder: Path, limits: Limits | None = None) -> ClickHouseStore:
    """Open or create the ledger in `folder`; raise StoreAway if another process has it."""
    bounds = limits or Limits()
    threads = bounds.threads or max(1, (os.cpu_count() or 2) - 1)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder.with_name(f"{folder.name}.xml")
    config.write_text(_config(bounds))

    reading = {
        "max_threads": threads,
        "max_execution_time": bounds.read_s,
        "max_memory_usage": bounds.read_memory_mb * 2**20,
    }
    _remove_empty_definitions(folder)
    with translated():
        # The default database is an overlay that keeps no tables of its own: make ours, then enter it.
        maker = _client(folder, config, "default", {})
        try:
            maker.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
            writer = _client(folder, config, DATABASE, {"max_threads": threads})
        finally:
            maker.close()
    return ClickHouseStore(writer, lambda: _client(folder, config, DATABASE, reading), kind="chdb", ghost_s=0)


def insert_through(folder: Path) -> None:
    """Have this process keep its temporary files in `folder`, and remove what a killed one left there.

    The driver hands each block of rows to the engine as a temporary file, with all that was said in them
    (clickhouse-connect 1.12, read 2026-11-22). In the machine's own folder nobody would erase it. The engine, which
    reads the environment itself, has a folder there while it starts (chDB 4.4, seen 2026-11-22).
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    tempfile.tempdir = str(folder)
    os.putenv("TMPDIR", str(folder))


def _remove_empty_definitions(folder: Path) -> None:
    """Remove definitions of tables and databases that are empty files: the engine does not start with them.

    A CREATE on a full disk fails and leaves such a file behind (chDB 4.4, seen 2026-11-21).
    """
    for pattern in ("metadata/*.sql", "store/*/*/*.sql"):
        for path in folder.glob(pattern):
            if path.stat().st_size == 0:
                path.unlink()
                logger.warning("empty_definition_removed", extra={"file": str(path.relative_to(folder))})


def _client(folder: Path, config: Path, database: str, settings: dict[str, Any]) -> Client:
    return clickhouse_connect.get_client(
        interface="chdb",
        path=str(folder),
        database=database,
        settings={**_INTERPRETED, **settings},
        chdb_options={"config-file": str(config)},
    )


def _config(limits: Limits) -> str:
    """Return the engine's configuration.

    A power cut must not take what an insert has confirmed, so parts are fsynced, and merged
    parts outlive their sources by the 480 s that ClickHouse itself names for that purpose.
    """
    return f"""<clickhouse>
  <max_server_memory_usage>{limits.memory_mb * 2**20}</max_server_memory_usage>
  <mark_cache_size>{limits.mark_cache_mb * 2**20}</mark_cache_size>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <old_parts_lifetime>480</old_parts_lifetime>
  </merge_tree>
</clickhouse>
"""
