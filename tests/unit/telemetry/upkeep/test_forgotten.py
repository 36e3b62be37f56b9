"""The list of who was erased."""

from __future__ import annotations

from pathlib import Path

import msgspec

from telemetry.records import Attempt, Injection
from telemetry.upkeep.forgotten import Forgotten, Person, nameless, wordless
from tests.fakes.ledger import call, outcome

ADA = Person(project="p1", environment="prod", user="ada")


def test_the_list_outlives_the_process_and_names_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / "forgotten"
    first = Forgotten(tmp_path / "forgotten.json", secret)
    assert not first
    assert ADA not in first
    assert not secret.exists()  # a full disk is no reason not to start
    assert first.add(ADA, 5) == 5
    again = Forgotten(tmp_path / "forgotten.json", secret)
    assert ADA in again
    assert again.add(ADA, 9) == 5  # since the first time
    assert b"ada" not in (tmp_path / "forgotten.json").read_bytes()
    assert secret.stat().st_mode & 0o077 == 0


def test_only_the_very_person_is_meant(tmp_path: Path) -> None:
    forgotten = Forgotten(tmp_path / "forgotten.json", tmp_path / "key")
    forgotten.add(ADA, 1)
    forgotten.add(Person(project="p1", environment="prod", user=""), 1)
    for name, other in (("project", "p2"), ("environment", "test"), ("user", "Ada"), ("user", "")):
        assert msgspec.structs.replace(ADA, **{name: other}) not in forgotten
    assert Person(project="p", environment="1prod", user="ada") not in forgotten


def test_who_is_taken_off_the_list_is_not_on_it(tmp_path: Path) -> None:
    forgotten = Forgotten(tmp_path / "forgotten.json", tmp_path / "key")
    forgotten.add(ADA, 1)
    assert forgotten.remove(ADA)
    assert not forgotten.remove(ADA)
    assert ADA not in Forgotten(tmp_path / "forgotten.json", tmp_path / "key")


def test_a_nameless_call_keeps_what_is_needed_to_bill_and_to_find_it() -> None:
    canary = "canary"
    told = call(
        1,
        user_id=canary,
        agent_id=canary,
        thread_id=canary,
        tags=(canary,),
        properties={canary: canary},
        parameters={"user": canary},
        span_name=canary,
    )
    how = outcome(
        error_message=canary,
        response_id=canary,
        attempts=(Attempt(deployment="d", provider="p", model="m", error_message=canary, request_id=canary),),
        memory=Injection(status="injected", ids=(canary,), block=canary, tokens=3),
    )
    kept, left = nameless(told), wordless(how)
    assert canary.encode() not in msgspec.json.encode([kept, left])
    assert (kept.call_id, kept.event_id, kept.key_id, kept.user_id) == (
        told.call_id,
        told.event_id,
        "k1",
        "erased",
    )
    assert (left.cost, left.usage, left.attempts[0].model, left.memory.tokens) == (
        how.cost,
        how.usage,
        "m",
        3,
    )
