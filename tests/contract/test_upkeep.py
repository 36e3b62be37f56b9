"""Re-rating, verifying and dropping, on every store of the ledger."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telemetry.answers import CallDetail
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.migrate import migrate
from telemetry.questions.calls import CallQuestions
from telemetry.questions.scope import Scope
from telemetry.records import Cost, Injection, Request, Settled, Usage
from telemetry.rows import PAYLOADS, SPANS, begin, row_of
from telemetry.store.base import Block, Store, StoreAway
from telemetry.upkeep import verify
from telemetry.upkeep.erase import StoreEraser
from telemetry.upkeep.forgotten import Person
from telemetry.upkeep.inspection import Check
from telemetry.upkeep.messages import Order, Rerated
from telemetry.upkeep.rerate import Priceable, Rerating, corrections_of, repair
from telemetry.upkeep.retention import Dropped, Keep, Retention
from telemetry.upkeep.settling import SettlingLedger
from telemetry.upkeep.verify import of_ledger, today
from tests.fakes.ledger import BASE_US, SegmentWriter, call, outcome, payload, settled

DAY_US = 86_400_000_000


class Ledger:
    """Calls of one origin, and prices for them: by default twice what they cost before."""

    def __init__(self, store: Store, origin: str) -> None:
        self.store = store
        self.origin = origin
        self.times = 2
        self.now_us = BASE_US + DAY_US
        self.asked: list[Priceable] = []

    def fill(self, *frames: Settled, token: str = "") -> None:
        ours = [
            Settled(msgspec.structs.replace(one.call, project=self.origin), one.outcome) for one in frames
        ]
        rows = [row_of(frame, origin=self.origin, preview=begin) for frame in ours]
        block = SPANS.block([row for row in rows if row is not None])
        self.store.insert("spans", block, token=token or f"{self.origin}-{frames[0].call.call_id}")

    def price(self, asked: Priceable) -> Cost:
        self.asked.append(asked)
        if asked.provider == "unheard-of":
            return Cost(reason="unknown_model")
        return Cost(
            12_345 * self.times, {"output_text": 12_345 * self.times}, "new-row", "v2", "", 7 * self.times
        )

    def rerate(self, *, most: int = 10**6, page: int = 3, **changes: Any) -> Rerated:
        order = Order(
            **{"from_us": BASE_US - DAY_US, "to_us": BASE_US + DAY_US, "reason": "doubled", **changes}
        )
        self.now_us += 1
        rerating = Rerating(self.store, self.origin, self.price, now_us=lambda: self.now_us, page=page)
        total, place = Rerated(), None
        while True:
            done = rerating.run(order, place, most=most)
            for name in ("calls", "changed", "newly_priced", "without_price", "delta_nano_usd"):
                setattr(total, name, getattr(total, name) + getattr(done, name))
            place = done.next
            if place is None:
                return total

    def rollup(self, origin: str = "") -> tuple[int, int, int, int]:
        (row,) = self.store.lookup(
            "SELECT sum(calls) AS calls, sum(priced) AS priced, sum(unpriced) AS unpriced, sum(cost_nano_usd) AS cost"
            " FROM usage_daily WHERE origin = {o:String}",
            {"o": origin or f"rerate:{self.origin}"},
        )
        return int(row["calls"]), int(row["priced"]), int(row["unpriced"]), int(row["cost"])

    def checks(self) -> dict[str, Check]:
        return {check.name: check for check in of_ledger(self.store, self.origin)}


def unpriced(number: int, **changes: Any) -> Settled:
    nothing = Cost(reason="unknown_model", price_version="v1")
    return settled(number, how=outcome(cost=nothing), **changes)


def test_a_changed_price_becomes_a_correction_and_the_call_stays_as_it_was(store: Store) -> None:
    ledger = Ledger(store, "changed")
    ledger.fill(*(settled(number) for number in range(8)))
    done = ledger.rerate()
    assert (done.calls, done.changed, done.newly_priced, done.delta_nano_usd) == (8, 8, 0, 8 * 12_345)
    assert ledger.rollup() == (0, 0, 0, 8 * 12_345)
    assert ledger.rollup("changed") == (8, 8, 0, 8 * 12_345)
    (told,) = corrections_of(store, "changed", "prod", call(3).call_id, call(3).started_at_us)
    assert (told.old_nano_usd, told.new_nano_usd, told.delta_nano_usd) == (12_345, 24_690, 12_345)
    assert (told.old_price_row, told.new_price_row, told.reason) == ("openai/gpt-4o", "new-row", "doubled")
    assert told.new_lines == {"output_text": 24_690}
    assert all(check.ok for check in ledger.checks().values()), ledger.checks()


def test_what_the_price_depends_on_is_what_the_call_says(store: Store) -> None:
    ledger = Ledger(store, "depends")
    how = outcome(
        response_model="gpt-4o-x",
        service_tier="flex",
        usage=Usage(input_uncached=7, cache_read=3, output_text=5),
    )
    ledger.fill(settled(1, how=how))
    ledger.rerate()
    assert ledger.asked == [
        Priceable(
            provider="openai",
            served_model="gpt-4o-2024-08-06",
            response_model="gpt-4o-x",
            started_at_us=call(1).started_at_us,
            service_tier="flex",
            usage=Usage(input_uncached=7, cache_read=3, output_text=5),
        )
    ]


def test_the_same_run_again_changes_nothing_and_another_price_corrects_the_correction(store: Store) -> None:
    ledger = Ledger(store, "again")
    ledger.fill(*(settled(number) for number in range(5)))
    ledger.rerate(most=2, page=2)
    assert ledger.rerate().changed == 0
    assert ledger.rollup() == (0, 0, 0, 5 * 12_345)
    ledger.times = 1
    back = ledger.rerate()
    assert (back.changed, back.delta_nano_usd) == (5, -5 * 12_345)
    assert ledger.rollup() == (0, 0, 0, 0)
    ledger.times = 2
    assert ledger.rerate().changed == 5
    assert ledger.rollup() == (0, 0, 0, 5 * 12_345)
    told = corrections_of(store, "again", "prod", call(1).call_id, call(1).started_at_us)
    assert [one.new_nano_usd for one in told] == [24_690, 12_345, 24_690]


def test_a_call_without_a_price_gets_one_and_counts_as_priced(store: Store) -> None:
    ledger = Ledger(store, "unpriced")
    ledger.fill(unpriced(1), unpriced(2, model="other"), settled(3))
    ledger.times = 1
    done = ledger.rerate()
    assert (done.changed, done.newly_priced, done.delta_nano_usd) == (2, 2, 2 * 12_345)
    assert ledger.rollup() == (0, 2, -2, 2 * 12_345)
    assert ledger.rerate().changed == 0


def test_a_dry_run_says_what_would_change_and_changes_nothing(store: Store) -> None:
    ledger = Ledger(store, "dry")
    ledger.fill(*(settled(number) for number in range(4)))
    done = ledger.rerate(dry_run=True)
    assert (done.calls, done.changed, done.delta_nano_usd) == (4, 4, 4 * 12_345)
    assert ledger.rollup() == (0, 0, 0, 0)


def test_only_what_was_asked_for_is_priced_anew(store: Store) -> None:
    ledger = Ledger(store, "filters")
    other = outcome(provider="azure", attempts=())
    ledger.fill(
        settled(1),
        settled(2, model="gpt-5", how=other),
        settled(3, started_at_us=BASE_US - 40 * DAY_US),
        settled(4, how=outcome(usage_source="none", cost=Cost(reason="no_answer"))),
        settled(5, how=outcome(cost=Cost(total_nano_usd=99))),  # told by who sent it
        settled(6, how=outcome(provider="unheard-of")),
        settled(7, kind="log", links_to="somebody"),
    )
    assert ledger.rerate(dry_run=True).calls == 3
    assert ledger.rerate(dry_run=True).without_price == 1
    assert ledger.rerate(dry_run=True, provider="azure").calls == 1
    assert ledger.rerate(dry_run=True, model="gpt-5").calls == 1
    assert ledger.rerate(dry_run=True, from_us=BASE_US - 41 * DAY_US).calls == 4


def test_a_correction_whose_rollup_a_kill_prevented_is_completed_once(store: Store) -> None:
    ledger = Ledger(store, "half")
    ledger.fill(settled(1), unpriced(2))
    ledger.rerate()
    store.command("ALTER TABLE usage_daily DELETE WHERE origin = 'rerate:half' SETTINGS mutations_sync = 2")
    assert not ledger.checks()["rollup = corrections"].ok
    for complete in (ledger.rerate, lambda: repair(store, "half")):
        complete()
        assert ledger.rollup() == (0, 1, -1, 12_345 + 24_690)
    assert ledger.checks()["rollup = corrections"].ok


def test_verify_names_the_day_on_which_something_differs(store: Store) -> None:
    ledger = Ledger(store, "differs")
    ledger.fill(settled(1), settled(2))
    assert all(check.ok for check in ledger.checks().values())
    ledger.fill(settled(2), token="once more")
    assert [name for name, check in ledger.checks().items() if not check.ok] == ["each call one row"]
    store.command(
        "ALTER TABLE span_index DELETE WHERE origin = 'differs' AND key = 'tag' SETTINGS mutations_sync = 2"
    )
    store.command(
        "INSERT INTO usage_daily (project, day, origin, calls, priced, cost_nano_usd)"
        " VALUES ('differs', toDate(fromUnixTimestamp64Micro({us:Int64})), 'differs', 1, 1, 5)",
        {"us": BASE_US},
    )
    wrong = {name: check.found for name, check in ledger.checks().items() if not check.ok}
    assert wrong.keys() == {"each call one row", "rollup = ledger", "index = ledger"}
    assert "-1 calls, -5 nano-USD" in wrong["rollup = ledger"]


def test_todays_sums_come_in_pairs(store: Store) -> None:
    ledger = Ledger(store, "today")
    ledger.fill(settled(1), settled(2))
    ledger.rerate()
    sums = today(store, "today", "2020-01-01")
    assert sums["ledger_calls"] == sums["rollup_calls"] == 2
    assert sums["ledger_nano_usd"] == sums["rollup_nano_usd"] == 24_690
    assert sums["ledger_corrections_nano_usd"] == sums["rollup_corrections_nano_usd"] == 24_690


# batches: what they cost is known once their output was seen, by another call


LATE = "-ffff-7fff-bfff-ffffffffffff"
"""Of an id of the year 10889."""


class Batches:
    """A journal with calls of one origin that make batches and count them, and what brings them in."""

    def __init__(self, store: Store, origin: str, folder: Path) -> None:
        self.ledger = Ledger(store, origin)
        self.folder = folder
        self.writer = SegmentWriter(folder, "w1")
        self.losing = Losing(store)

    def id_of(self, number: int) -> str:
        made = f"{BASE_US // 1000:012x}"
        return f"{made[:8]}-{made[8:]}-7000-8000-{zlib.crc32(self.ledger.origin.encode()) + number:012d}"

    def made(self, number: int) -> Settled:
        how = outcome(
            response_id=f"batch_{number}", usage=Usage(), usage_source="none", cost=Cost(reason="pending")
        )
        return settled(number, how=how, call_id=self.id_of(number), project=self.ledger.origin)

    def counted(self, number: int, *, of: int, **changes: Any) -> Settled:
        how = outcome(**{"response_id": f"batch_{of}", "service_tier": "batch", **changes})
        return settled(
            number,
            how=how,
            call_id=self.id_of(number),
            project=self.ledger.origin,
            started_at_us=BASE_US + DAY_US // 2,
            properties={"batch": f"batch_{of}", "settles": self.id_of(of)},
        )

    def telling(self, number: int, said: str) -> Settled:
        """A call whose client says that it settles something."""
        told = self.counted(number, of=1)
        return Settled(msgspec.structs.replace(told.call, properties={"settles": said}), told.outcome)

    def deliver(self, *frames: Settled) -> None:
        """Write the frames and bring them in; what fails is brought in again, as after a kill."""
        self.writer.write(*frames)
        while True:
            inner = StoreConsumer(
                self.losing, self.folder / "dead", origin=self.ledger.origin, now_us=lambda: 1
            )
            consumer = SettlingLedger(inner, self.losing, self.ledger.origin, now_us=lambda: BASE_US)
            follower = Follower("store", self.folder, now_us=lambda: 1)
            try:
                while (work := follower.next()) is not None:
                    consumer.deliver(work)
                    if self.losing.commits:
                        follower.commit(work)
                    else:
                        self.losing.commits = True
                        break
                else:
                    return
            except StoreAway:
                continue

    def row(self, number: int) -> CallDetail:
        scope = Scope(project=self.ledger.origin, environment="prod")
        return CallQuestions(self.losing.store).call(scope, self.id_of(number))


class Losing:
    """A store that loses the corrections it is given, or only says so, as often as it is told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ghost_s = 0.0
        self.lose = 0
        self.lose_answer = 0
        self.commits = True
        """Else a kill comes before the follower knows that all was delivered."""

    def insert(self, table: str, block: Block, *, token: str) -> None:
        if table == "cost_corrections" and self.lose:
            self.lose -= 1
            raise StoreAway("killed")
        self.store.insert(table, block, token=token)
        if table == "cost_corrections" and self.lose_answer:
            self.lose_answer -= 1
            raise StoreAway("connection reset")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize(
    ("first", "trouble"),
    [
        *(("made", trouble) for trouble in ("none", "lose", "lose_answer", "killed")),
        ("counted", "none"),
        ("together", "killed"),
    ],
)
def test_a_batch_waits_for_its_cost_until_a_call_counted_it_once(
    store: Store, tmp_path: Path, first: str, trouble: str
) -> None:
    batches = Batches(store, f"batches-{first}-{trouble}", tmp_path)
    frames = [batches.made(1), batches.counted(2, of=1)]
    if first == "made":
        batches.deliver(frames.pop(0), batches.made(3))
        assert (batches.row(1).cost_nano_usd, batches.row(1).cost_reason) == (None, "pending")
    elif first == "counted":
        batches.deliver(frames.pop(1), batches.made(3))
    else:
        frames.append(batches.made(3))
    if trouble == "killed":
        batches.losing.commits = False
    elif trouble != "none":
        setattr(batches.losing, trouble, 2)
    batches.deliver(*frames)

    row = batches.row(1)
    assert (row.cost_nano_usd, row.cost_reason, row.price_version) == (0, "settled", batches.id_of(2))
    assert (batches.row(2).cost_nano_usd, batches.row(2).cost_reason) == (12_345, "")
    assert batches.row(3).cost_reason == "pending"
    assert batches.ledger.rollup(batches.ledger.origin) == (3, 1, 2, 12_345)
    assert batches.ledger.rollup() == (0, 1, -1, 0)
    assert all(check.ok for check in batches.ledger.checks().values()), batches.ledger.checks()


def test_who_only_says_so_settles_no_batch(store: Store, tmp_path: Path) -> None:
    batches = Batches(store, "said", tmp_path)
    batches.deliver(
        batches.made(1),
        batches.counted(2, of=1, service_tier="default"),
        batches.counted(3, of=1, response_id="batch_9"),
        batches.counted(4, of=1, provider="elsewhere"),
        *(batches.telling(5 + number, said) for number, said in enumerate(("nobody", "f" * 8 + LATE))),
    )
    assert batches.row(1).cost_reason == "pending"
    assert batches.ledger.rollup() == (0, 0, 0, 0)


# retention: the engine takes its time for each of these statements, so they are tried on one store only


@pytest.fixture
def kept(embedded: Store) -> Store:
    migrate(embedded)
    retain(embedded, payloads_days=0)  # the engine's own 90 days would come before what is tried here
    return embedded


def filled(store: Store, origin: str, *ages_days: int) -> Ledger:
    """Calls with a payload each, so many days old; the ledger's rollup has them as well."""
    ledger = Ledger(store, origin)
    for age in ages_days:
        started_at_us = BASE_US - age * DAY_US
        ledger.fill(settled(age, started_at_us=started_at_us), token=f"{origin}-{age}")
        said = row_of(
            Request(payload(age, b"{}", project=origin, started_at_us=started_at_us)),
            origin=origin,
            preview=begin,
        )
        assert said is not None
        store.insert("span_payloads", PAYLOADS.block([said]), token=f"{origin}-said-{age}")
    return ledger


def retain(store: Store, *, now_us: int = BASE_US, **keep: Any) -> Dropped:
    return Retention(store, Keep(**keep), clustered=False, now_us=lambda: now_us).run()


def ages(store: Store, table: str, project: str) -> list[int]:
    rows = store.lookup(
        f"SELECT toUnixTimestamp64Micro(started_at) AS us FROM {table} WHERE project = {{p:String}} ORDER BY us DESC",
        {"p": project},
    )
    return [(BASE_US - row["us"]) // DAY_US for row in rows]


def test_whole_months_of_calls_go_and_their_sums_stay_whatever_is_repaired(kept: Store) -> None:
    ledger = filled(kept, "months", 0, 70, 700)
    ledger.rerate(from_us=0)
    dropped = retain(kept, calls_days=365, payloads_days=0)
    assert len(dropped.months) == 1
    assert ages(kept, "spans", "months") == [0, 70]
    assert set(ages(kept, "span_index", "months")) == {0, 70}
    assert ledger.rollup("months") == (3, 3, 0, 3 * 12_345)
    assert ledger.rollup() == (0, 0, 0, 3 * 12_345)
    old_day = datetime.fromtimestamp((BASE_US - 700 * DAY_US) / 1e6, UTC).date().isoformat()
    repairs = Path(verify.__file__).parents[1] / "queries" / "repair_usage_daily.sql"
    kept.command(repairs.read_text(), {"origin": "months", "day": old_day})
    repair(kept, "months")
    assert ledger.rollup("months") == (3, 3, 0, 3 * 12_345)
    assert ledger.rollup() == (0, 0, 0, 3 * 12_345)
    assert all(check.ok for check in ledger.checks().values()), ledger.checks()
    assert retain(kept, calls_days=365, payloads_days=0).months == []


def test_payloads_go_by_whole_days_and_each_project_has_its_own_time(kept: Store) -> None:
    for project in ("brief", "plain", "eternal"):
        filled(kept, project, 0, 3, 10, 40)
    times: dict[str, Any] = {"payloads_days": 30, "payloads_days_by_project": {"brief": 7, "eternal": 0}}
    dropped = retain(kept, **times)
    kept.command("OPTIMIZE TABLE span_payloads FINAL")
    assert {project for _, project in dropped.project_days} == {"brief", "plain"}
    assert ages(kept, "span_payloads", "brief") == [0, 3]
    assert ages(kept, "span_payloads", "plain") == [0, 3, 10]
    assert ages(kept, "span_payloads", "eternal") == [0, 3, 10, 40]
    assert retain(kept, **times).project_days == []
    assert len(retain(kept, payloads_days=7, payloads_days_by_project={"nobody": 0}).days) >= 2
    assert ages(kept, "span_payloads", "eternal") == [0, 3]
    assert ages(kept, "spans", "eternal") == [0, 3, 10, 40]


def test_the_engines_own_time_follows_the_settings(kept: Store) -> None:
    def times() -> list[str]:
        rows = kept.lookup(
            "SELECT name, extractAll(create_table_query, 'toIntervalDay\\\\((\\\\d+)\\\\)') AS days FROM system.tables"
            " WHERE database = currentDatabase() AND name IN ('spans', 'span_payloads') ORDER BY name",
            {},
        )
        return [day for row in rows for day in row["days"]]

    retain(kept, payloads_days=30, payloads_days_by_project={"audit": 400})
    assert times() == ["400", "400"]
    retain(kept)
    assert times() == ["90", "90"]
    retain(kept, payloads_days=0)
    assert times() == []


def test_what_the_prompt_was_given_goes_with_the_payloads_of_a_project(kept: Store) -> None:
    for project in ("hushed", "loud"):
        filled(kept, project, 20)
        how = outcome(memory=Injection(status="injected", block="- she lives in Lisbon"))
        Ledger(kept, project).fill(settled(21, how=how, started_at_us=BASE_US - 20 * DAY_US))
    retain(kept, payloads_days=0, payloads_days_by_project={"hushed": 7})
    kept.command("OPTIMIZE TABLE spans FINAL")
    rows = kept.lookup(
        "SELECT toString(project) AS project, memory_block FROM spans"
        " WHERE memory_status = 'injected' AND project IN ('hushed', 'loud') ORDER BY project",
        {},
    )
    assert [row["memory_block"] for row in rows] == ["", "- she lives in Lisbon"]


# erase


class Interrupted(Exception):
    pass


class Cut:
    """A store that is gone after so many changes."""

    def __init__(self, store: Store, left: int) -> None:
        self._store = store
        self._left = left

    def __getattr__(self, name: str) -> Any:
        if name in ("command", "insert"):
            if self._left == 0:
                raise Interrupted
            self._left -= 1
        return getattr(self._store, name)


@pytest.mark.parametrize("cut", [2, 4, 6])
def test_an_erasure_that_is_cut_short_anywhere_is_completed_by_another_one(kept: Store, cut: int) -> None:
    project = f"cut{cut}"
    ledger = Ledger(kept, project)
    ledger.fill(*(settled(number, user_id="ada") for number in range(3)), settled(9, user_id="bea"))
    said = row_of(Request(payload(1, b"ada said this", project=project)), origin=project, preview=begin)
    assert said is not None
    kept.insert("span_payloads", PAYLOADS.block([said]), token=project)
    ledger.rerate()
    person = Person(project=project, environment="prod", user="ada")

    def eraser(store: Any) -> StoreEraser:
        return StoreEraser(store, person, since_us=1, clustered=False)

    before = eraser(kept).count()
    assert before == {
        "spans": 3,
        "span_payloads": 1,
        "span_index": 18,
        "usage_daily": 2,
        "cost_corrections": 3,
        "amendments": 0,
    }
    with pytest.raises(Interrupted):
        eraser(Cut(kept, cut)).run()
    for _ in range(2):
        eraser(kept).run()
        assert set(eraser(kept).count().values()) == {0}
        assert ledger.rollup(project) == (4, 4, 0, 4 * 12_345)
        assert ledger.rollup() == (0, 0, 0, 4 * 12_345)
    assert all(check.ok for check in ledger.checks().values()), ledger.checks()
    users = kept.lookup(
        "SELECT user_id, count() AS n FROM spans WHERE project = {p:String} GROUP BY user_id ORDER BY user_id",
        {"p": project},
    )
    assert [(row["user_id"], row["n"]) for row in users] == [("bea", 1), ("erased", 3)]
