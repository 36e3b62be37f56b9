"""Accounts of budgets in the control database: a batch of what workers ask is one transaction.

The transaction holds the only write lock (SQLite's own, an advisory one of Postgres), so what is read in it stays true
until it is written, however many hubs there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.budgets.ledger import Account, AccountKey, Held, Ledger, keys_of
from gateway.budgets.records import Budget, Closing, Reservation, Threshold, Verdict
from gateway.budgets.windows import window
from gateway.control.database import Database, Session

LEASE_US = 30_000_000
"""A worker of which nothing was heard for so long will not say what its calls cost."""
_REMEMBER_US = 40 * 24 * 3600 * 1_000_000
"""After so long nobody corrects what expired, or says again what was closed."""
_FIRST_PAUSE_US = 5_000_000
_LONGEST_PAUSE_US = 3600 * 1_000_000
_MOST_TRIES = 20

_MOST_AT_ONCE = 500
_LOST = """select distinct id from budget_reservations where state = 'open'
and holder not in (select id from budget_holders where seen_us > ?) limit ?"""

_rules = msgspec.json.Decoder(Budget)

Ask = Reservation | Closing


class Standing(NamedTuple):
    """How an account stands."""

    key: AccountKey
    account: Account


class Sums(NamedTuple):
    """All accounts of a budget in one window, together."""

    spent: int
    bounded: int
    reserved: int


NOTHING = Sums(0, 0, 0)


class Due(NamedTuple):
    """A notice to be sent."""

    key: AccountKey
    account: Account
    threshold: Threshold
    at_us: int
    spent: int
    tries: int
    """Before this one."""


def act(
    database: Database, configured: Mapping[str, Budget], asked: Sequence[Ask], now_us: int
) -> list[Verdict]:
    """Do what was asked, in its order, and return a verdict for each; raise ControlAway."""
    with database.write() as session:
        budgets = _budgets(session, configured)
        _touch(session, {one.holder for one in asked if isinstance(one, Reservation)}, now_us)
        held = _held(session, {one.id for one in asked})
        places = {key for one in asked for key in keys_of(budgets, one.places, now_us)}
        ledger = Ledger(budgets, _accounts(session, places, held), held, now_us)
        verdicts = [_do(ledger, one) for one in asked]
        _save(session, ledger, now_us)
        return verdicts


def expire(database: Database, configured: Mapping[str, Budget], now_us: int) -> int:
    """Count what workers hold that were not heard for long, and return how many attempts those are; raise ControlAway.

    What is long over is forgotten.
    """
    with database.read() as session:
        if not session.run("select 1 from budget_holders where seen_us <= ? limit 1", now_us - LEASE_US):
            return 0
    with database.write() as session:
        rows = session.run(_LOST, now_us - LEASE_US, _MOST_AT_ONCE)
        held = _held(session, {name for (name,) in rows})
        ledger = Ledger(_budgets(session, configured), _accounts(session, set(), held), held, now_us)
        ledger.expire(held)
        _save(session, ledger, now_us)
        session.run(
            "delete from budget_reservations where state <> 'open' and at_us < ?", now_us - _REMEMBER_US
        )
        session.run(
            "delete from budget_holders where seen_us <= ? and not exists"
            " (select 1 from budget_reservations where holder = budget_holders.id and state = 'open')",
            now_us - LEASE_US,
        )
        return len(held)


def _do(ledger: Ledger, one: Ask) -> Verdict:
    if isinstance(one, Reservation):
        return ledger.reserve(one)
    ledger.close(one)
    return Verdict()


def hold(database: Database, holders: Iterable[str], now_us: int) -> None:
    """Note that these workers live. Raises ControlAway."""
    with database.write() as session:
        _touch(session, holders, now_us)


def standings(database: Database, budgets: Iterable[Budget], now_us: int) -> list[Standing]:
    """Return the accounts that have been used in the present windows of these budgets. Raises ControlAway."""
    found: list[Standing] = []
    with database.read() as session:
        for budget in budgets:
            starts_us = window(budget.window, budget.zone, now_us)[0]
            rows = session.run(
                "select budget, project, subject, starts_us, ends_us, spent, bounded, reserved from budget_accounts"
                " where budget = ? and starts_us = ? order by project, subject",
                *(budget.id, starts_us),
            )
            found += [Standing(AccountKey(*row[:4]), Account(*row[4:])) for row in rows]
    return found


def sums(database: Database, budgets: Sequence[Budget], now_us: int) -> dict[str, Sums]:
    """Return, by id, what the accounts of these budgets come to in their present windows. Raises ControlAway."""
    starts = {one.id: window(one.window, one.zone, now_us)[0] for one in budgets}
    if not starts:
        return {}
    sql = (
        "select budget, starts_us, sum(spent), sum(bounded), sum(reserved) from budget_accounts"
        " where budget in ({}) and (ends_us = 0 or ends_us > ?) group by budget, starts_us"
    )
    with database.read() as session:
        rows = session.run(sql.format(_marks(starts)), *starts, now_us)
    return {name: Sums(*map(int, amounts)) for name, starts_us, *amounts in rows if starts[name] == starts_us}


def due(database: Database, now_us: int) -> list[Due]:
    """Return the notices whose time has come, and take each for a while, so that no other hub sends it."""
    with database.read() as session:
        if not session.run("select 1 from budget_notices where next_us between 1 and ? limit 1", now_us):
            return []
    with database.write() as session:
        rows = session.run(
            "select n.account, n.threshold, n.at_us, n.spent, n.tries, a.budget, a.project, a.subject, a.starts_us,"
            " a.ends_us, a.spent, a.bounded, a.reserved from budget_notices n"
            " join budget_accounts a on a.id = n.account where n.next_us between 1 and ?",
            now_us,
        )
        found = []
        for account, threshold, at_us, spent, tries, *row in rows:
            pause_us = min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US << min(tries, 20))
            session.run(
                "update budget_notices set tries = ?, next_us = ? where account = ? and threshold = ?",
                *(tries + 1, 0 if tries + 1 >= _MOST_TRIES else now_us + pause_us, account, threshold),
            )
            found.append(Due(AccountKey(*row[:4]), Account(*row[4:]), threshold, at_us, spent, tries))
        return found


def sent(database: Database, one: Due) -> None:
    """Note that a notice has arrived, or that nobody wants it. Raises ControlAway."""
    with database.write() as session:
        session.run(
            "update budget_notices set next_us = 0 where account = ? and threshold = ?",
            *(_id(one.key), one.threshold),
        )


def _budgets(session: Session, configured: Mapping[str, Budget]) -> dict[str, Budget]:
    rows = session.run("select rules from budgets")
    return {**configured, **{budget.id: budget for (rules,) in rows for budget in (_rules.decode(rules),)}}


def _touch(session: Session, holders: Iterable[str], now_us: int) -> None:
    for holder in holders:
        session.run(
            "insert into budget_holders (id, seen_us) values (?, ?)"
            " on conflict (id) do update set seen_us = excluded.seen_us",
            *(holder, now_us),
        )


def _held(session: Session, ids: set[str]) -> dict[str, dict[AccountKey, Held]]:
    sql = (
        "select r.id, a.budget, a.project, a.subject, a.starts_us, r.holder, r.nano_usd, r.state, r.at_us"
        " from budget_reservations r join budget_accounts a on a.id = r.account where r.id in ({})"
    )
    found: dict[str, dict[AccountKey, Held]] = {}
    for name, budget, project, subject, starts_us, *held in (
        session.run(sql.format(_marks(ids)), *ids) if ids else ()
    ):
        found.setdefault(name, {})[AccountKey(budget, project, subject, starts_us)] = Held(*held)
    return found


def _accounts(
    session: Session, keys: set[AccountKey], held: Mapping[str, Mapping[AccountKey, Held]]
) -> dict[AccountKey, Account]:
    ids = {_id(key): key for key in keys.union(*held.values())}
    if not ids:
        return {}
    sql = "select id, ends_us, spent, bounded, reserved from budget_accounts where id in ({})"
    return {ids[row[0]]: Account(*row[1:]) for row in session.run(sql.format(_marks(ids)), *ids)}


def _save(session: Session, ledger: Ledger, now_us: int) -> None:
    accounts: list[Any] = []
    for key, account in ledger.accounts.items():
        accounts += (_id(key), *key, *msgspec.structs.astuple(account))
    _insert(
        session,
        "budget_accounts (id, budget, project, subject, starts_us, ends_us, spent, bounded, reserved)",
        accounts,
        9,
        "(id) do update set spent = excluded.spent, bounded = excluded.bounded, reserved = excluded.reserved",
    )
    reservations: list[Any] = []
    for name, mine in ledger.held.items():
        if name not in ledger.over:
            for key, held in mine.items():
                reservations += (name, _id(key), *msgspec.structs.astuple(held))
    _insert(
        session,
        "budget_reservations (id, account, holder, nano_usd, state, at_us)",
        reservations,
        6,
        "(id, account) do update set state = excluded.state",
    )
    if ledger.over:
        session.run(
            f"delete from budget_reservations where id in ({_marks(ledger.over)})",  # noqa: S608 - question marks
            *ledger.over,
        )
    for key, threshold, spent in ledger.notices:
        session.run(
            "insert into budget_notices (account, threshold, at_us, spent, tries, next_us)"
            " values (?, ?, ?, ?, 0, 1) on conflict do nothing",
            *(_id(key), threshold, now_us, spent),
        )


def _insert(session: Session, table: str, values: Sequence[object], width: int, conflict: str) -> None:
    if values:
        rows = ", ".join([f"({_marks(range(width))})"] * (len(values) // width))
        session.run(f"insert into {table} values {rows} on conflict {conflict}", *values)  # noqa: S608 - as above


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _id(key: AccountKey) -> str:
    return msgspec.json.encode(key).decode()
