"""What the demo says; that it works is shown by tests/integration/test_pages.py."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from gateway import cli
from gateway.calls_tree import Call
from gateway.demo import Made, Said, table, what_to_open
from tests.fakes.tidegate import free_port
from tests.fakes.web import answering

URL = "http://127.0.0.1:4000"


def made(number: int, *, status: int = 200, memory: str = "") -> Made:
    said = Said(user="ada", thread="t[1]", event=number, text="hello")
    return Made(said, f"demo-{number}", f"c-{number}", status, memory)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str) -> str:
    """Run the command, which has to fail; return its complaint."""
    monkeypatch.setattr(sys, "argv", ["tidegate", "demo", "--url", url])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    return err


def test_without_a_gateway_it_says_how_to_start_one(monkeypatch, capsys):
    err = run(monkeypatch, capsys, f"http://127.0.0.1:{free_port()}")

    assert "tidegate serve" in err
    assert len(err.splitlines()) == 1


def test_what_is_no_gateway_is_not_taken_for_one(monkeypatch, capsys):
    with answering(b"<html>", status=200) as (port, _):
        assert "answered 501" in run(monkeypatch, capsys, f"http://127.0.0.1:{port}")

    assert "--url must be like" in run(monkeypatch, capsys, "localhost:4000")


def test_the_table_shows_what_the_ledger_knows_and_the_call_without_it():
    known = Call(call_id="c-1", input_tokens=20, output_tokens=5, cost_nano_usd=1500, total_us=2500)
    shown = table([made(1, memory="injected"), made(2, status=503)], {"c-1": known})
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(shown)
    first, second = [line.split() for line in console.export_text().splitlines()[1:3]]

    assert first == ["demo-1", "ada", "t[1]", "hello", "200", "injected", "25", "$0.0000015", "2.5", "ms"]
    assert second == ["demo-2", "ada", "t[1]", "hello", "503", "off"]


def test_a_memory_is_promised_only_if_there_was_one():
    calls = [made(1), made(2, memory="injected"), made(3, status=503)]
    (first, told), (second, _), (home, _) = what_to_open(URL, calls)

    assert (first, second, home) == (f"{URL}/events/demo-2", f"{URL}/events/demo-3", f"{URL}/")
    assert "memory" in told
    assert "memory" not in what_to_open(URL, [made(1), made(2, memory="timeout"), made(3)])[0][1]
