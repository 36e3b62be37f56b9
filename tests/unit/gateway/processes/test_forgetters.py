from __future__ import annotations

import pytest

from gateway.clock import SystemClock
from gateway.places import Places
from gateway.processes.forgetters import forget_memories, forget_responses, forgetters
from gateway.processes.response_store import ResponseStore
from gateway.response_ids import GET, PUT, Kept
from telemetry.upkeep.forgotten import Person

ADA = Person(project="p1", environment="prod", user="ada")


def kept(id_: str, **changes: str) -> dict[str, object]:
    said = {"project": "p1", "environment": "prod", "user": "ada", **changes}
    name = {"project": said["project"], "environment": said["environment"], "id": id_}
    return {"name": name, "deployment": "d", "user": said["user"], "held": b"what ada said"}


async def test_responses_of_the_user_go_and_nobody_elses_beside_the_hub_that_uses_them(tmp_path):
    path = tmp_path / "responses.sqlite"
    store = ResponseStore(path, SystemClock())
    for id_, changes in (("1", {}), ("2", {}), ("3", {"user": "bea"}), ("4", {"project": "p2"})):
        await store.handlers[PUT](kept(id_, **changes))

    assert forget_responses(path, ADA) == 2
    assert forget_responses(path, ADA) == 0
    found = []
    for id_, project in (("1", "p1"), ("3", "p1"), ("4", "p2")):
        one = await store.handlers[GET]({"project": project, "environment": "prod", "id": id_})
        found.append(one.user if isinstance(one, Kept) else None)
    assert found == [None, "bea", "ada"]
    await store.close()


def test_without_a_file_there_is_nothing_to_forget(tmp_path):
    assert forget_responses(tmp_path / "none.sqlite", ADA) == 0
    assert not (tmp_path / "none.sqlite").exists()


def test_a_file_that_is_none_is_a_failure(tmp_path):
    broken = tmp_path / "responses.sqlite"
    broken.write_bytes(b"no database at all" * 100)
    with pytest.raises(OSError, match="kept responses"):
        forget_responses(broken, ADA)


def test_a_memory_that_was_ever_there_has_to_forget_as_well(tmp_path):
    places = Places(data=tmp_path, run=tmp_path)
    assert forgetters(places, memory=False).keys() == {"kept responses", "kept answers"}
    assert forgetters(places, memory=True).keys() == {"kept responses", "kept answers", "memories"}
    places.memory.mkdir()
    assert forgetters(places, memory=False).keys() == {"kept responses", "kept answers", "memories"}


def test_a_hub_that_is_away_is_a_failure(tmp_path):
    with pytest.raises(FileNotFoundError):
        forget_memories(tmp_path / "hub.sock", ADA)
