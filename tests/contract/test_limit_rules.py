"""What can be done with limits of the control records, over a file and over a real Postgres server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.control.keys import Admin
from gateway.control.limit_rules import TABLE, LimitPatch, LimitRules, NewLimit
from gateway.control.records_thread import RecordsThread
from gateway.control.rule_records import RuleConfigured, UnknownRule
from gateway.errors import BadRequest, Forbidden
from gateway.limits.rules import configured
from gateway.settings import Limit
from tests.fakes.keys import HandClock

OWNER, ADMIN = Admin("ada"), Admin("bob", within="p")


class House:
    """The records, and how often workers were told of a change."""

    def __init__(self, path: Path, url: str) -> None:
        self.records = RecordsThread(path, url, HandClock())
        self.told = 0
        ours = {rule.id: rule for rule in configured({"file": Limit(rpm=5)})}
        self.limits = LimitRules(self.records, ours, self._tell, HandClock())

    async def _tell(self) -> None:
        self.told += 1

    async def lines(self) -> list[tuple[str, str, str, dict[str, Any]]]:
        """Return the audit log, newest first."""
        found = await self.records.do(lambda store: store.audit("", 0, 100))
        return [(line.actor, line.action, line.project, line.details) for line in found]


@pytest.fixture
async def house(tmp_path: Path, control_url: str) -> AsyncIterator[House]:
    made = House(tmp_path / "control.sqlite", control_url)
    yield made
    await made.records.close()


def wanted(**fields: Any) -> NewLimit:
    return msgspec.convert({"name": "mine", "rpm": 60, **fields}, NewLimit)


async def test_a_limit_is_made_found_changed_and_ended_each_with_a_line(house: House) -> None:
    made = await house.limits.create(wanted(project="p", per=["user"], users=["ü-*"]), OWNER)
    assert await house.limits.get(made.id, OWNER) == made
    (rule,) = await house.records.query(TABLE.read)
    assert (rule.id, rule.name, rule.limit.users, rule.limit.per) == (made.id, "mine", ("ü-*",), ("user",))

    changed = await house.limits.change(made.id, LimitPatch(rpm=0, tpm=500, name="ours"), OWNER)
    assert (changed.name, changed.rpm, changed.tpm, changed.users) == ("ours", 0, 500, ("ü-*",))
    assert await house.limits.delete(made.id, ADMIN) == changed
    assert await house.records.query(TABLE.read) == ()
    lines = await house.lines()
    assert [line[:3] for line in lines] == [
        ("bob", "limit.delete", "p"),
        ("ada", "limit.change", "p"),
        ("ada", "limit.create", "p"),
    ]
    assert lines[1][3] == {"name": ["mine", "ours"], "rpm": [60, 0], "tpm": [0, 500]}
    assert house.told == 3


async def test_a_change_that_changes_nothing_leaves_no_line(house: House) -> None:
    made = await house.limits.create(wanted(), OWNER)
    await house.limits.change(made.id, LimitPatch(rpm=60), OWNER)

    assert len(await house.lines()) == 1


async def test_another_project_sees_and_touches_nothing(house: House) -> None:
    made = await house.limits.create(wanted(), OWNER)
    stranger = Admin("eve", within="q")

    assert (await house.limits.list(stranger)).limits == []
    for refused in (
        house.limits.get(made.id, stranger),
        house.limits.change(made.id, LimitPatch(rpm=1), stranger),
        house.limits.delete(made.id, stranger),
    ):
        with pytest.raises(UnknownRule):
            await refused
    with pytest.raises(Forbidden):
        await house.limits.create(wanted(), stranger)
    with pytest.raises(Forbidden):
        await house.limits.create(wanted(project="p"), stranger)
    assert (await house.limits.get(made.id, OWNER)).rpm == 60


async def test_limits_of_the_file_are_listed_first_and_changed_there(house: House) -> None:
    assert [one.id for one in (await house.limits.list(OWNER)).limits] == ["config:file"]
    made = await house.limits.create(wanted(), OWNER)

    listed = (await house.limits.list(OWNER)).limits
    assert [(one.id, one.configured) for one in listed] == [("config:file", True), (made.id, False)]
    with pytest.raises(RuleConfigured):
        await house.limits.delete("config:file", OWNER)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rpm": 0}, "rpm"),
        ({"rpm": -1, "tpm": 5}, "rpm"),
        ({"rpm": 0, "tpm": 5, "burst": 2}, "burst"),
        ({"users": [" "]}, "users"),
        ({"models": ["a\n"]}, "models"),
        ({"name": " x"}, "name"),
        ({"project": "*"}, "project"),
    ],
)
async def test_what_makes_no_sense_is_refused(house: House, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await house.limits.create(wanted(**fields), OWNER)

    assert refused.value.param == field
    assert not house.told


async def test_there_is_an_end_to_how_many_and_how_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TABLE, "most", 1)
    with pytest.raises(BadRequest, match="bytes"):
        await house.limits.create(wanted(users=["x" * 255] * 40), OWNER)
    await house.limits.create(wanted(), OWNER)
    with pytest.raises(BadRequest, match="already"):
        await house.limits.create(wanted(), OWNER)
