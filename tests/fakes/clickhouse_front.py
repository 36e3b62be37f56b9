"""A ClickHouse server for tests: the HTTP protocol of ClickHouse in front of the engine inside chDB.

Run as `python -m tests.fakes.clickhouse_front FOLDER [PORT]`; it prints its port when it listens. A
process of its own, because chDB opens one folder per process. It has the real engine and the real
client's path, but neither users nor replicas, and sends no exception in mid-stream.
"""

from __future__ import annotations

import email.parser
import email.policy
import gzip
import re
import socket
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame  # type: ignore[import-untyped]  # lz4 4.4 ships no types
import msgspec
import zstandard
from typing_extensions import override

# Of the protocol, not of the query. Source: ClickHouse docs, "HTTP interface", read Nov 2026.
_NO_SETTING = frozenset(
    (
        *("query", "database", "user", "password", "query_id", "session_id", "session_timeout"),
        *("client_protocol_version", "default_format", "enable_http_compression", "compress", "decompress"),
        *("wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    )
)
_CODE = re.compile(r"Code: (\d+)")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(
    r"\s*INSERT\s+INTO\s+(?P<target>.+?)\s+FORMAT\s+(?P<format>\w+)\s*$", re.IGNORECASE | re.DOTALL
)


class Front(ThreadingHTTPServer):
    """The listening server; `address` is chDB's connection string."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.address = str(folder)
        self.keep = self.connect()  # the engine stays open while nobody asks

    def connect(self) -> Any:
        """Return a connection of its own to the engine."""
        return chdb.connect(self.address)  # type: ignore[no-untyped-call]

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Answer a read or a ping."""
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self._run(b"")

    def do_POST(self) -> None:
        """Answer any statement."""
        self._run(self._body())

    def _run(self, body: bytes) -> None:
        arguments = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get_content_type() == "multipart/form-data":
            arguments |= dict(_fields(self.headers["Content-Type"], body))
            body = b""
        query = arguments.get("query", "")
        try:
            data, shape, rows = self._execute(query, body, arguments)
        except RuntimeError as error:
            self._fail(str(error))
            return
        summary = {"read_rows": str(rows), "written_rows": "0", "result_rows": str(rows)}
        headers = {"X-ClickHouse-Summary": msgspec.json.encode(summary).decode()}
        if data:
            headers["X-ClickHouse-Format"] = shape
        self._answer(200, data, headers, compress=arguments.get("enable_http_compression") == "1")

    def _execute(self, query: str, body: bytes, arguments: dict[str, str]) -> tuple[bytes, str, int]:
        assert isinstance(self.server, Front)
        connection = self.server.connect()
        try:
            connection.query(f"USE `{arguments.get('database') or 'default'}`", "TabSeparated")
            for name, value in arguments.items():
                if name not in _NO_SETTING and not name.startswith("param_"):
                    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                    connection.query(f"SET {name} = '{escaped}'", "TabSeparated")
            values = {
                name.removeprefix("param_"): value
                for name, value in arguments.items()
                if name.startswith("param_")
            }
            with _statement(query, body) as text:
                shape = _FORMAT.search(text)
                chosen = shape[1] if shape else arguments.get("default_format", "TabSeparated")
                result = connection.query(text, chosen, params=values)
                return result.bytes() or b"", chosen, result.rows_read()
        finally:
            connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            data = b"".join(parts)
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return _decoded(data, self.headers.get("Content-Encoding", ""))

    def _fail(self, message: str) -> None:
        found = _CODE.search(message)
        code = found[1] if found else "1002"
        status = 404 if code in {"60", "81"} else 500
        self._answer(status, message.encode(), {"X-ClickHouse-Exception-Code": code})

    def _answer(self, status: int, data: bytes, headers: dict[str, str], *, compress: bool = False) -> None:
        if compress and data:
            data, encoding = _encoded(data, self.headers.get("Accept-Encoding", ""))
            if encoding:
                headers = {**headers, "Content-Encoding": encoding}
        self.send_response(status)
        for name, value in {**headers, "X-ClickHouse-Timezone": "UTC"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def _statement(query: str, body: bytes) -> Iterator[str]:
    """Yield the statement's text; an insert's data goes through a file, as chDB takes none beside the text."""
    text = query or body.decode()
    data = body if query else b""
    if not query and body[:20].lstrip()[:6].upper() == b"INSERT":
        line, _, data = body.partition(b"\n")
        text = line.decode()
    insert = _INSERT.fullmatch(text)
    if insert is None or not data:
        yield f"{text}\n{data.decode()}" if data else text
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield f"INSERT INTO {insert['target']} FROM INFILE '{file.name}' FORMAT {insert['format']}"


def _fields(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        yield str(name), payload.decode()


def _decoded(data: bytes, encoding: str) -> bytes:
    match encoding:
        case "lz4":
            return bytes(lz4.frame.decompress(data))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        case "gzip":
            return gzip.decompress(data)
        case "deflate":
            return zlib.decompress(data)
        case _:
            return data


def _encoded(data: bytes, accepted: str) -> tuple[bytes, str]:
    names = {name.strip() for name in accepted.split(",")}
    if "lz4" in names:
        return bytes(lz4.frame.compress(data)), "lz4"
    if "zstd" in names:
        return zstandard.ZstdCompressor().compress(data), "zstd"
    if "gzip" in names:
        return gzip.compress(data), "gzip"
    return data, ""


def main() -> None:
    """Serve until killed."""
    front = Front(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(front.server_address[1], flush=True)  # noqa: T201
    front.serve_forever()


if __name__ == "__main__":
    main()
