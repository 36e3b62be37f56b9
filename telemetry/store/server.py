"""The ledger on a ClickHouse server, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from telemetry.store.clickhouse import ClickHouseStore, translated

_READ_LIMITS = {"max_execution_time": 20, "max_memory_usage": 2 * 2**30, "readonly": 2}


def open_server(
    url: str, *, ca_file: str = "", timeout_s: int = 60, read_limits: dict[str, Any] | None = None
) -> ClickHouseStore:
    """Open `http(s)://user:password@host:port/database`; the database is made if it is missing.

    `ca_file`: certificates to trust instead of the system's.

    An insert of which we stopped waiting may still be going on over there, hence `ghost_s`.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/") or "tidegate"

    limits = _READ_LIMITS if read_limits is None else read_limits
    with translated():
        maker = _client(url, "default", ca_file, timeout_s, {})
        try:
            maker.command(f"CREATE DATABASE IF NOT EXISTS {_quoted(database)}")
        finally:
            maker.close()
        writer = _client(url, database, ca_file, timeout_s, {})
    return ClickHouseStore(
        writer, lambda: _client(url, database, ca_file, timeout_s, limits), kind="server", ghost_s=2
    )


def _client(url: str, database: str, ca_file: str, timeout_s: int, settings: dict[str, Any]) -> Client:
    parts = urlsplit(url)
    return clickhouse_connect.get_client(
        host=parts.hostname or "localhost",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        secure=parts.scheme == "https",
        ca_cert=ca_file or None,
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database,
        settings=settings,
        connect_timeout=5,
        send_receive_timeout=timeout_s,
        autogenerate_session_id=False,
        compress="lz4",
        # Lookups by call id carry thousands of ids: parameters travel in the body, not in the address.
        form_encode_query_params=True,
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
