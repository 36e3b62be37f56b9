from __future__ import annotations

import re
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway import cli, config
from gateway.control.migrate import migrate
from gateway.control.records import Act, Draft, Rules, Secret
from gateway.control.sql_store import SqlStore
from gateway.control.sqlite import Sqlite
from gateway.places import Places
from gateway.processes import supervisor
from gateway.processes.doors import StartRefused
from gateway.settings import Settings
from tests.fakes.web import answering

CALL = {"call_id": "c-1", "model": "sandbox/echo", "status": "ok", "cost_nano_usd": 0}


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """An empty folder to stand in, and an environment with nothing of the tester's."""
    monkeypatch.chdir(tmp_path)
    for name in list(config.environment()):
        if name.startswith("TIDEGATE_") or name.endswith(("_API_KEY", "_PROXY", "_proxy")):
            monkeypatch.delenv(name)


@pytest.fixture
def tidegate(monkeypatch, capsys):
    """Run a command line; return its exit code, output and complaints."""

    def do(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tidegate", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0 if code is None else 1), out, err

    return do


@pytest.fixture
def started(monkeypatch):
    """Catch what would be started."""
    starts: list[tuple[str, Settings, Places, list[str]]] = []

    def run(settings: Settings, places: Places, *, notes: list[str]) -> int:
        starts.append(("serve", settings, places, notes))
        return 7

    def alone(role: str, settings: Settings, places: Places) -> None:
        starts.append((role, settings, places, []))

    monkeypatch.setattr(supervisor, "run", run)
    monkeypatch.setattr(cli, "alone", alone)
    return starts


@contextmanager
def api(status: int, body: bytes) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A gateway that gives one answer; and what it was asked, with which credential."""
    with answering(body, status=status) as (port, asked):
        yield f"http://127.0.0.1:{port}", asked


def test_the_version_is_the_packages(tidegate):
    code, out, _ = tidegate("--version")

    assert code == 0
    assert re.fullmatch(r"tidegate \d+\.\d+\.\d+\n", out)


def test_check_without_a_file_says_what_the_defaults_amount_to(tidegate):
    code, out, _ = tidegate("check")

    assert code == 0
    assert "127.0.0.1:4000" in out
    assert "open mode" in out


def test_check_names_a_variable_that_is_almost_one_of_ours(tidegate, monkeypatch):
    monkeypatch.setenv("TIDEGATE_WROKERS", "2")
    monkeypatch.setenv("TIDEGATE_SERVICE_HOST", "10.0.0.1")  # as Kubernetes does for a service of that name
    code, out, _ = tidegate("check")

    assert code == 0
    assert re.search(r"ignored: TIDEGATE_WROKERS\s*│ nobody reads it. Did you mean TIDEGATE_WORKERS\?", out)
    assert "SERVICE_HOST" not in out


def test_check_summarises_providers_and_routes_without_their_keys(tidegate, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    Path("tidegate.yaml").write_text(
        "providers: {local: {base_url: 'http://localhost:1'}}\n"
        "routes: {smart: {deployments: [{model: openai/a}, {model: local/b}]}}\n"
    )
    code, out, err = tidegate("check")

    assert code == 0
    assert re.search(r"providers with a key\s*│ openai ", out)
    assert re.search(r"providers without a key\s*│ local, sandbox ", out)
    assert "openai/a, then local/b" in out
    assert "sk-secret" not in out + err


def test_check_prints_every_problem_as_one_line_and_fails(tidegate):
    Path("tidegate.yaml").write_text("server:\n  prot: 5\nroutes: {r: {deployments: [{model: opnai/x}]}}\n")
    code, out, err = tidegate("check")

    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "tidegate.yaml:2: server.prot: unknown key. Did you mean `port`?",
        "tidegate.yaml:3: routes.r.deployments[0].model: no provider is called `opnai`. Did you mean `openai`?",
    ]


def test_a_public_address_without_a_key_is_refused_by_check_and_serve(tidegate, started):
    Path("tidegate.yaml").write_text("server: {host: 0.0.0.0}")

    for words in (["check"], ["serve"], ["worker"]):
        code, _, err = tidegate(*words)
        assert code == 1
        assert "tidegate key" in err
    assert started == []


def test_key_prints_a_key_and_lines_that_let_it_in(tidegate):
    _, out, _ = tidegate("key", "--name", 'a "b": c')
    key = out.splitlines()[0]
    Path("tidegate.yaml").write_text(out[out.index("keys:") :])

    (entry,) = config.load(None, {}).keys
    assert (entry.name, entry.hash) == ('a "b": c', config.hash_key(key))
    assert out.count(key) == 1


def test_serve_hands_settings_and_places_to_the_supervisor_and_ends_with_its_code(
    tidegate, started, tmp_path
):
    code, _, _ = tidegate("serve", "--port", "5001", "--workers", "2", "--data-dir", "d")
    (_, settings, places, notes) = started[0]

    assert code == 7
    assert (settings.server.port, settings.server.workers) == (5001, 2)
    assert places.data == tmp_path / "d"
    assert any("OPEN MODE" in note for note in notes)


def test_a_container_makes_its_first_key_and_shows_it_once(tidegate, started, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDEGATE_CONTAINER", "1")
    monkeypatch.setenv("TIDEGATE_HOST", "0.0.0.0")
    monkeypatch.setenv("TIDEGATE_DATA_DIR", str(tmp_path / "data"))
    tidegate("serve")
    tidegate("serve")
    (_, first, _, notes), (_, second, _, later) = started
    key = (tmp_path / "data/secrets/first-key").read_text().strip()

    assert first.keys == second.keys
    assert first.keys[0].hash == config.hash_key(key)
    assert [key in note for note in notes] == [True]
    assert later == []
    assert stat.S_IMODE((tmp_path / "data/secrets/first-key").stat().st_mode) == 0o600


def test_other_machines_are_answered_once_somebody_has_a_virtual_key(tidegate, started, tmp_path):
    code, _, complaint = tidegate("serve", "--host", "0.0.0.0", "--data-dir", "d")
    assert (code, started) == (1, [])
    assert "refusing to start" in complaint

    issue_offline(tmp_path / "d" / "control.sqlite")
    tidegate("serve", "--host", "0.0.0.0", "--data-dir", "d")
    ((_, settings, _, notes),) = started
    assert (settings.server.host, notes) == ("0.0.0.0", [])


def test_a_file_without_keys_lets_nobody_in_from_elsewhere(tidegate, started, tmp_path):
    migrate(Sqlite(tmp_path / "control.sqlite"), 1)

    assert tidegate("serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path))[0] == 1
    assert started == []


def test_keys_are_made_and_shown_while_the_house_is_down_and_the_note_says_so(tidegate):
    code, _, note = tidegate("keys", "create", "ci")
    assert (code, "The house is down" in note) == (0, True), note
    for words, told in ((("keys", "list"), "ci"), (("audit",), "key.create")):
        code, out, note = tidegate(*words)
        assert (code, note) == (0, "")
        assert told in out


def issue_offline(path: Path) -> None:
    database = Sqlite(path)
    migrate(database, 1)
    draft = Draft(id="key_1", name="ci", owner="", project="p", environment="prod", rules=Rules())
    SqlStore(database).create(draft, Secret("00", "tg-", 1), Act("me", 1))
    database.close()


@pytest.mark.parametrize("role", ["worker", "hub", "telemetry"])
def test_roles_start_apart(tidegate, started, tmp_path, role):
    tidegate(role, "--data-dir", "d")

    assert [(one, places.data) for one, _, places, _ in started] == [(role, tmp_path / "d")]


def test_a_refused_start_is_one_line(tidegate, monkeypatch):
    def refuse(*_: object, **__: object) -> int:
        raise StartRefused("Port 4000 is taken.")

    monkeypatch.setattr(supervisor, "run", refuse)

    assert tidegate("serve") == (1, "", "Port 4000 is taken.\n")


def test_doctor_prints_its_table_and_fails_with_a_check(tidegate, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
        code, out, _ = tidegate("doctor", "--port", port, "--data-dir", str(tmp_path))
        assert code == 1
        assert "another program listens" in out
    code, out, _ = tidegate("doctor", "--port", port, "--data-dir", str(tmp_path))
    assert code == (1 if "fail" in out else 0)
    assert re.search(rf"port {port}\s*│ ok", out)


def test_calls_of_an_event_are_asked_for_and_drawn(tidegate):
    with api(200, msgspec.json.encode({"event_id": "a/b c", "calls": [CALL], "totals": {}})) as (url, asked):
        code, out, _ = tidegate("calls", "--event", "a/b c", "--url", url + "/", "--key", "tg-1")

    assert code == 0
    assert asked == [("/api/events?id=a%2Fb+c&limit=200", "Bearer tg-1")]
    assert "event a/b c" in out
    assert "sandbox/echo" in out


def test_routes_are_asked_for_and_drawn(tidegate):
    with api(200, b'{"slot": 0, "routes": []}') as (url, asked):
        code, out, _ = tidegate("routes", "--url", url, "--key", "tg-1")

    assert code == 0
    assert asked == [("/api/routes", "Bearer tg-1")]
    assert "as worker 0 sees it" in out


def test_routes_of_somebody_else_are_one_clear_line(tidegate):
    with api(200, b"[]") as (url, _):
        code, out, err = tidegate("routes", "--url", url)

    assert (code, out) == (1, "")
    assert "not as a Tidegate" in err


@pytest.mark.parametrize("kind", ["user", "thread"])
def test_calls_of_a_user_or_thread_are_limited(tidegate, monkeypatch, kind):
    monkeypatch.setenv("TIDEGATE_KEY", "tg-2")
    with api(200, b'{"calls": []}') as (url, asked):
        code, out, _ = tidegate("calls", f"--{kind}", "a&b", "--limit", "3", "--url", url)

    assert code == 0
    assert "no calls" in out
    path, credential = asked[0]
    assert urlsplit(path).path == "/api/calls"
    assert parse_qs(urlsplit(path).query) == {f"{kind}_id": ["a&b"], "limit": ["3"]}
    assert credential == "Bearer tg-2"


def test_a_proxy_is_not_asked_about_this_machine(tidegate, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    with api(200, b'{"calls": []}') as (url, asked):
        assert tidegate("calls", "--event", "e", "--url", url)[0] == 0
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"{}", "--key"),
        (404, b'{"error": {"message": "No event is called so."}}', "404: No event is called so."),
        (503, b"<html>", "answered 503."),
        (200, b"<html>", "not as a Tidegate"),
    ],
)
def test_an_answer_that_is_no_list_of_calls_is_one_clear_line(tidegate, status, body, said):
    with api(status, body) as (url, _):
        code, out, err = tidegate("calls", "--event", "e", "--url", url)

    assert (code, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_gateway_that_is_down_is_one_clear_line(tidegate):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    code, _, err = tidegate("calls", "--event", "e", "--url", f"http://127.0.0.1:{port}")

    assert code == 1
    assert "Connection refused" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["--event", "a", "--user", "b"]])
def test_calls_wants_to_know_whose(tidegate, words):
    assert tidegate("calls", *words) == (1, "", "Say whose calls: one of --event, --user and --thread.\n")


def test_calls_wants_an_http_address(tidegate):
    assert tidegate("calls", "--event", "e", "--url", "file:///etc/passwd")[0] == 1


def test_calls_asks_where_the_configuration_says_it_listens(tidegate, monkeypatch):
    with api(200, b'{"calls": []}') as (url, asked):
        port = url.rpartition(":")[2]
        Path("tidegate.yaml").write_text(f"server: {{host: 0.0.0.0, port: {port}}}")
        assert tidegate("calls", "--event", "file")[0] == 0
        Path("tidegate.yaml").unlink()
        monkeypatch.setenv("TIDEGATE_PORT", port)
        assert tidegate("calls", "--event", "variable")[0] == 0

    assert [path for path, _ in asked] == [
        "/api/events?id=file&limit=200",
        "/api/events?id=variable&limit=200",
    ]


def test_check_names_the_file_it_read(tidegate, tmp_path):
    named = tmp_path / "other.yaml"
    named.write_text("server: {workers: 2}")

    assert "other.yaml" in tidegate("check", "--config", str(named))[1]
    assert "none: defaults" in tidegate("check")[1]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (PermissionError(13, "Permission denied", "/data/journal"), "/data/journal: Permission denied. "),
        (OSError(28, "No space left on device", "/data/run"), "/data/run: No space left on device. "),
    ],
)
def test_a_data_folder_that_cannot_be_written_is_one_line(tidegate, monkeypatch, trouble, said):
    def refuse(*_: object, **__: object) -> int:
        raise trouble

    monkeypatch.setattr(supervisor, "run", refuse)
    code, _, err = tidegate("serve")

    assert code == 1
    assert err == f"{said}Choose another folder with --data-dir, or let this user write there.\n"


def test_an_error_that_names_no_file_is_a_bug_and_keeps_its_trace(tidegate, monkeypatch):
    def break_(*_: object, **__: object) -> int:
        raise ConnectionResetError

    monkeypatch.setattr(supervisor, "run", break_)
    monkeypatch.setattr(sys, "argv", ["tidegate", "serve"])
    with pytest.raises(ConnectionResetError):
        cli.main()
