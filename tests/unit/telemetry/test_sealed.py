"""Sealed words in journal frames and rows of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from telemetry.records import Injection, Outcome, Payload, Request
from telemetry.rows import PAYLOADS, row_of
from telemetry.sealed import PREFIX, UNSEALED, open_payload, seal_outcome
from telemetry.store.base import Block, Parameter, Row, StoreState
from telemetry.store.opened import OpenedStore


class Mirror:
    """Seals the words of one project by turning them round."""

    def seal(self, project: str, plain: bytes) -> bytes:
        """Turn them round."""
        return PREFIX + plain[::-1] if project == "p" else plain

    def open(self, said: bytes) -> bytes:
        """Turn them back."""
        return said[len(PREFIX) :][::-1] if said.startswith(PREFIX) else said


class Kept:
    """A store with one row."""

    ghost_s = 0.0

    def __init__(self, row: Row) -> None:
        self.row = row
        self.told: list[str] = []

    def command(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Note it."""
        self.told.append(sql)

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Note it."""
        self.told.append(table)

    def lookup(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Return the row."""
        return [dict(self.row)]

    def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Return the row."""
        return [dict(self.row)]

    def ping(self) -> bool:
        """Answer."""
        return True

    def state(self) -> StoreState:
        """Say what it is."""
        return StoreState(kind="kept", version="1")

    def close(self) -> None:
        """Note it."""
        self.told.append("close")


def payload(project: str = "p", body: bytes = b"words") -> Payload:
    return Payload(call_id="c", project=project, environment="e", started_at_us=1, surface="s", body=body)


def test_a_payload_is_opened_as_it_was_said() -> None:
    sealed = payload(body=PREFIX + b"sdrow")
    assert open_payload(Mirror(), sealed) == payload()
    assert open_payload(UNSEALED, sealed) is sealed
    other = payload("q")
    assert open_payload(Mirror(), other) is open_payload(UNSEALED, other) is other


def test_what_was_remembered_in_a_call_is_sealed_as_well() -> None:
    outcome = Outcome(status="ok", memory=Injection(status="injected", block="words"))
    sealed = seal_outcome(Mirror(), "p", outcome)
    assert sealed.memory.block == "sealed:1:sdrow"
    assert msgspec.structs.replace(sealed, memory=outcome.memory) == outcome
    empty = Outcome(status="ok")
    assert seal_outcome(Mirror(), "p", empty) is empty
    assert seal_outcome(Mirror(), "q", outcome) is outcome


def test_a_row_has_body_and_preview_sealed() -> None:
    frame = Request(payload=payload(body=PREFIX + b"sdrow"))

    def preview(_surface: str, _content_type: str, body: bytes) -> str:
        return f"says {body.decode()}"

    row = row_of(frame, origin="o", preview=preview, sealer=Mirror())
    assert row is not None
    values: dict[str, Any] = dict(zip(PAYLOADS.columns, row.values, strict=True))
    assert values["body"] == PREFIX + b"sdrow"
    assert values["preview"] == "sealed:1:sdrow syas"
    plain = row_of(Request(payload=payload("q")), origin="o", preview=preview, sealer=Mirror())
    assert plain is not None
    assert "says words" in plain.values


def test_readers_of_the_store_see_what_was_said() -> None:
    kept = Kept({"text": "sealed:1:sdrow", "bytes_kept": 14, "body": PREFIX + b"x", "n": 1, "id": "c"})
    store = OpenedStore(kept, Mirror())
    want = {"text": "words", "bytes_kept": 5, "body": b"x", "n": 1, "id": "c"}
    assert store.query("", {}) == store.lookup("", {}) == [want]
    plain = {"text": "said", "bytes_kept": 9}
    assert OpenedStore(Kept(plain), Mirror()).query("", {}) == [plain]
    store.command("x")
    store.close()
    assert (store.ping(), store.state().kind, kept.told) == (True, "kept", ["x", "close"])


def test_sealed_words_that_somebody_sent_as_an_id_are_not_opened() -> None:
    stolen = Mirror().seal("p", b"words").decode()
    store = OpenedStore(Kept({"user_id": stolen, "model": stolen, "text": stolen}), Mirror())
    assert store.query("", {}) == [{"user_id": stolen, "model": stolen, "text": "words"}]
