"""What any database of control records does with accounts of budgets: over a file and over a real Postgres server."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.budgets.records import Budget, Closing, Place, Reservation, by_id
from gateway.control.budget_accounts import LEASE_US, Ask, act, due, expire, hold, sent, standings
from gateway.control.database import Database
from gateway.control.migrate import migrate
from tests.fakes.control_databases import Open

NOW_US = 1_790_000_000_000_000
HARD = 10_000
KEY = Budget(id="key", name="each key", per="key", hard_nano_usd=HARD, soft_nano_usd=5000, window="day")
ALL = Budget(id="all", name="all", per="project", hard_nano_usd=4 * HARD, window="total")
BUDGETS = by_id((KEY, ALL))
A, P = Place("key", "", "a"), Place("all", "", "p")


@pytest.fixture
def database(opening: Open) -> Database:
    made = opening()
    migrate(made, 1)
    return made


def wanted(name: str, nano_usd: int, *places: Place, holder: str = "w1") -> Reservation:
    return Reservation(name, holder, places or (A, P), nano_usd)


def stands(database: Database, budget: Budget = KEY, now_us: int = NOW_US) -> list[tuple[str, int, int, int]]:
    """Subject, spent, the part nobody told, reserved."""
    return [
        (one.key.subject, one.account.spent, one.account.bounded, one.account.reserved)
        for one in standings(database, [budget], now_us)
    ]


def test_a_batch_is_done_in_its_order_and_survives(database: Database, opening: Open) -> None:
    batch: list[Ask] = [
        wanted("r1", 6000),
        wanted("r2", 6000),
        Closing("r1", 1234),
        wanted("r3", 6000),
        wanted("r4", 6000, Place("key", "", "b"), P, holder="w2"),
    ]

    verdicts = act(database, BUDGETS, batch, NOW_US)

    assert [one.refusal is None for one in verdicts] == [True, False, True, True, True]
    assert verdicts[1].refusal is not None
    assert (verdicts[1].refusal.name, verdicts[1].refusal.left_nano_usd) == ("each key", 4000)
    again = opening()
    assert stands(again) == [("a", 1234, 0, 6000), ("b", 0, 0, 6000)]
    assert stands(again, ALL) == [("p", 1234, 0, 12_000)]
    act(again, BUDGETS, [Closing("r3", 0), Closing("r4", None)], NOW_US)
    assert stands(database, ALL) == [("p", 7234, 6000, 0)]


def test_what_is_told_again_after_a_lost_answer_counts_once(database: Database) -> None:
    for _ in range(2):
        act(
            database, BUDGETS, [wanted("r1", 500), Closing("r1", 20, (A, P)), Closing("x", 7, (A, P))], NOW_US
        )

    act(database, BUDGETS, [wanted("x", 500)], NOW_US)
    assert stands(database) == [("a", 27, 0, 0)]


def test_a_new_window_begins_with_nothing_and_the_former_one_gets_what_it_reserved(
    database: Database,
) -> None:
    day_us = 24 * 3600 * 1_000_000
    act(database, BUDGETS, [wanted("r1", HARD)], NOW_US)
    verdicts = act(database, BUDGETS, [wanted("r2", HARD), Closing("r1", 77)], NOW_US + day_us)

    assert verdicts[0].refusal is None
    assert stands(database) == [("a", 77, 0, 0)]
    assert stands(database, now_us=NOW_US + day_us) == [("a", 0, 0, HARD)]


def test_what_a_silent_worker_holds_is_spent_and_what_a_living_one_holds_is_not(database: Database) -> None:
    act(database, BUDGETS, [wanted("r1", 1000), wanted("r2", 300, holder="w2")], NOW_US)
    later_us = NOW_US + LEASE_US
    hold(database, ["w2"], later_us - 1)

    assert expire(database, BUDGETS, later_us) == 1
    assert stands(database) == [("a", 1000, 1000, 300)]
    assert expire(database, BUDGETS, later_us) == 0
    act(database, BUDGETS, [Closing("r1", 10), Closing("r2", 20)], later_us)
    assert stands(database) == [("a", 30, 0, 0)]


def test_a_budget_of_the_records_counts_as_soon_as_it_is_written(database: Database) -> None:
    with database.write() as session:
        rules = '{"id": "bud", "name": "more", "per": "key", "window": "total", "hard_nano_usd": 50}'
        session.run("insert into budgets values ('bud', 1, '', ?, 1)", rules)

    (verdict,) = act(database, BUDGETS, [wanted("r1", 51, A, Place("bud", "", "a"))], NOW_US)

    assert verdict.refusal is not None
    assert verdict.refusal.name == "more"
    assert stands(database) == [("a", 0, 0, 0)]


def test_a_threshold_is_told_once_however_often_it_is_passed(database: Database) -> None:
    for number in range(4):
        act(database, BUDGETS, [wanted(f"r{number}", 4000), Closing(f"r{number}", 3000)], NOW_US)

    first = due(database, NOW_US + 1)
    told = sorted((one.threshold, one.key.subject, one.spent, one.tries) for one in first)
    assert told == [("hard", "a", 9000, 0), ("soft", "a", 6000, 0)]
    assert due(database, NOW_US + 2) == [], "another hub is not given what one is telling"
    sent(database, first[0])
    (again,) = due(database, NOW_US + 20_000_000)
    assert (again.threshold, again.tries) == (first[1].threshold, 1)
    act(database, BUDGETS, [wanted("r9", 4000)], NOW_US)
    assert due(database, NOW_US + 3600_000_000)[0].threshold == again.threshold


def test_many_hubs_together_never_pass_the_amount(database: Database, opening: Open) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201 - to repeat a failure
    hubs = [opening() for _ in range(3)]

    def live(number: int) -> int:
        dice, hub, spent = random.Random(seed + number), hubs[number], 0
        for turn in range(40):
            name, nano_usd = f"{number}-{turn}", dice.randrange(1, 900)
            (verdict,) = act(hub, BUDGETS, [wanted(name, nano_usd)], NOW_US)
            ((_, total, _, reserved),) = stands(hub)
            assert total + reserved <= HARD
            if verdict.refusal is None:
                cost = dice.randrange(nano_usd + 1)
                act(hub, BUDGETS, [Closing(name, cost)], NOW_US)
                spent += cost
        return spent

    with ThreadPoolExecutor(len(hubs)) as pool:
        costs = list(pool.map(live, range(len(hubs))))

    assert stands(database) == [("a", sum(costs), 0, 0)]
    assert HARD // 2 < sum(costs) <= HARD
