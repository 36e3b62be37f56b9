from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from gateway.memory_commands import memory_commands
from gateway.places import Places
from gateway.settings import Memory, Settings
from memory.embed import HashedWords
from memory.opening import open_engine
from memory.store.place import open_ledger
from memory.store.sqlite import SqliteLedger, SqlLedger
from tests.fakes.memory_databases import empty
from tests.fakes.memory_parts import ALICE, KEY, draft
from tests.fakes.sealed import sealer
from tests.fakes.tidegate import free_port
from tests.fakes.upkeep_child import open_tidied
from tests.unit.memory.test_calibration import filled


def run(data: Path) -> str:
    def located(file: Path | None, folder: str | None) -> tuple[Settings, Places]:
        return Settings(), Places(data=data, run=data)

    done = CliRunner().invoke(memory_commands(located), ["calibrate"], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize(("memories", "said"), [(300, "from 299 pairs"), (20, "too few")])
def test_calibrating_says_what_was_found(tmp_path, memories, said):
    (tmp_path / "memory").mkdir()
    filled(tmp_path / "memory", memories).close()
    assert said in run(tmp_path)


def test_without_memories_there_is_nothing_to_calibrate(tmp_path):
    assert "Nothing is remembered" in run(tmp_path)
    SqliteLedger(tmp_path / "memory" / "memory.sqlite3", key=KEY).close()
    assert run(tmp_path) == ""


def told(data: Path, *command: str, ledger_url: str = "") -> tuple[int, str]:
    def located(file: Path | None, folder: str | None) -> tuple[Settings, Places]:
        return Settings(memory=Memory(ledger_url=ledger_url)), Places(data=data, run=data)

    done = CliRunner().invoke(memory_commands(located), [*command], catch_exceptions=False)
    return done.exit_code, done.output


def test_a_check_ends_with_one_until_everything_is_indexed(tmp_path, monkeypatch):
    monkeypatch.setattr("memory.local.embedder_here", lambda folder: HashedWords())
    filled(tmp_path / "memory", 3).close()
    status, output = told(tmp_path, "check")
    assert status == 1
    assert "3 memories, 0 points" in output
    assert "3 not in the index" in output
    assert told(tmp_path, "reindex") == (0, "3 left\n0 left\n3 memories are indexed.\n")
    assert told(tmp_path, "check") == (0, "3 memories, 3 points in the index.\n")


def test_a_house_that_is_running_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("memory.local.embedder_here", lambda folder: HashedWords())
    engine = open_engine(tmp_path / "memory", lambda folder: HashedWords())
    status, output = told(tmp_path, "check")
    assert status == 2
    assert "Is the house running?" in output
    engine.close()


def test_a_call_is_explained(tmp_path):
    assert told(tmp_path, "explain", "call")[0] == 1
    ledger = SqliteLedger(tmp_path / "memory" / "memory.sqlite3", key=KEY)
    ((one, _),) = ledger.add(ALICE, [draft("I like tea")])
    ledger.confirm(ALICE, "call", [one])
    ledger.close()

    status, output = told(tmp_path, "explain", "call")

    assert status == 0
    (memory,) = msgspec.json.decode(output)["memories"]
    assert (memory["memory"], memory["rule"]["by"]) == ("I like tea", "verbatim")
    assert told(tmp_path, "explain", "another")[0] == 1


def test_a_ledger_on_a_server_is_looked_after_as_one_in_a_file(tmp_path, monkeypatch, postgres_url):
    monkeypatch.setattr("memory.local.embedder_here", lambda folder: HashedWords())
    empty(postgres_url)
    ledger = SqlLedger(open_ledger(tmp_path, postgres_url), key=KEY)
    ((one, _),) = ledger.add(ALICE, [draft("I like tea")])
    ledger.confirm(ALICE, "call", [one])
    ledger.close()

    assert told(tmp_path, "check", ledger_url=postgres_url)[0] == 1
    assert told(tmp_path, "reindex", ledger_url=postgres_url)[0] == 0
    assert told(tmp_path, "check", ledger_url=postgres_url)[1] == "1 memories, 1 points in the index.\n"
    assert "too few" in told(tmp_path, "calibrate", ledger_url=postgres_url)[1]
    assert "I like tea" in told(tmp_path, "explain", "call", ledger_url=postgres_url)[1]
    assert not (tmp_path / "memory" / "memory.sqlite3").exists()


def test_a_server_that_is_away_is_said(tmp_path):
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/x"
    for command in (["calibrate"], ["explain", "call"]):
        status, output = told(tmp_path, *command, ledger_url=nobody)
        assert status == 2
        assert "refused" in output


def test_a_sealed_memory_is_explained_with_its_key_and_not_opened_with_another(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEGATE_MASTER_KEY", "6d" * 32)
    connections = open_ledger(tmp_path / "memory", "", sealer=sealer("p"))
    ledger = SqlLedger(connections, key=KEY)
    one = draft("My dog is called Rex", call_id="c0")
    ledger.add(ALICE, [one])
    ledger.confirm(ALICE, "c1", [one.id])
    ledger.close()
    status, output = told(tmp_path, "explain", "c1")
    assert status == 0
    assert "My dog is called Rex" in output
    monkeypatch.setenv("TIDEGATE_MASTER_KEY", "6e" * 32)
    for command in (("explain", "c1"), ("undo",), ("calibrate",)):
        assert told(tmp_path, *command) == (
            2,
            "memories of the project 'p' were sealed with another master key.\n",
        )


def test_passes_of_the_upkeep_are_listed_and_put_back(tmp_path):
    assert told(tmp_path, "undo") == (0, "")
    assert told(tmp_path, "undo", "upkeep:merge:1")[0] == 1
    (tmp_path / "memory").mkdir()
    house = open_tidied(tmp_path / "memory")
    for at_us, word in enumerate(("just", "really"), 1):
        house.add(f"user {word} likes green tea", occurred_at_us=at_us)
    run = house.go(house.merge)
    status, output = told(tmp_path, "undo")
    assert status == 0
    assert output.startswith(run)
    assert output.endswith("done, 1 changes\n")
    assert told(tmp_path, "undo", run) == (0, "1 changes are put back.\n")
    assert len(house.texts()) == 2
    status, output = told(tmp_path, "undo", "upkeep:merge:1")
    assert (status, "There is no pass upkeep:merge:1." in output) == (1, True)
