"""What a worker makes of the pages that the hub sends."""

from __future__ import annotations

import pytest

from gateway.errors import Unauthenticated, Unavailable
from gateway.key_pages import Position
from gateway.keyring import Keyring
from gateway.principal import Principal
from tests.fakes.keys import SECOND, START_US, HandClock, digest, page, row


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ring(clock: HandClock) -> Keyring:
    return Keyring({digest("static"): Principal(key_id="static")}, clock, max_stale_s=60)


def whose(ring: Keyring, secret: str) -> str:
    found = ring.find(digest(secret))
    return found.key_id if found is not None else ""


def test_keys_of_the_settings_and_of_the_hub_are_known_side_by_side(ring: Keyring) -> None:
    assert ring.take(page(0, 1, row("k1", "a", project="red", models=("m",), memory="read")))

    found = ring.find(digest("a"))
    assert found is not None
    assert (found.key_id, found.project, found.models, found.memory) == ("k1", "red", ("m",), "read")
    assert (whose(ring, "static"), whose(ring, "b")) == ("static", "")


def test_a_change_replaces_and_a_revocation_removes(ring: Keyring) -> None:
    assert ring.take(page(0, 2, row("k1", "a"), row("k2", "b")))
    assert ring.take(page(2, 3, row("k1", "a", store="none")))
    found = ring.find(digest("a"))
    assert found is not None
    assert found.store == "none"
    assert ring.take(page(3, 4, row("k1", "a", revoked=True)))

    assert (whose(ring, "a"), whose(ring, "b")) == ("", "k2")
    assert ring.position == Position(epoch="e", revision=4)


def test_a_page_that_leaves_a_gap_or_is_of_another_database_is_not_taken(ring: Keyring) -> None:
    assert ring.take(page(0, 2, row("k1", "a")))

    assert not ring.take(page(3, 4, row("k1", "a", revoked=True)))
    assert not ring.take(page(2, 3, row("k1", "a", revoked=True), epoch="other"))
    assert whose(ring, "a") == "k1"


def test_an_old_page_does_not_bring_a_revoked_key_back(ring: Keyring) -> None:
    old = page(1, 2, row("k2", "b"))
    assert ring.take(page(0, 1, row("k1", "a")))
    assert ring.take(old)
    assert ring.take(page(2, 3, row("k2", "b", revoked=True)))

    assert not ring.take(old)
    assert whose(ring, "b") == ""


def test_a_new_beginning_counts_once_it_is_complete(ring: Keyring) -> None:
    assert ring.take(page(0, 2, row("k1", "a"), row("k2", "b")))
    assert ring.take(page(0, 1, row("k3", "c"), epoch="f", more=True))
    assert (whose(ring, "a"), whose(ring, "c")) == ("k1", "")
    assert ring.position == Position(epoch="f", revision=1)
    assert ring.take(page(1, 2, row("k4", "d"), epoch="f"))

    assert [whose(ring, secret) for secret in ("a", "b", "c", "d", "static")] == [
        "",
        "",
        "k3",
        "k4",
        "static",
    ]


def test_during_a_rotation_both_secrets_count_until_the_former_ends(ring: Keyring, clock: HandClock) -> None:
    assert ring.take(page(0, 1, row("k1", ends={"old": START_US + 10 * SECOND, "new": 0})))
    assert (whose(ring, "old"), whose(ring, "new")) == ("k1", "k1")
    clock.us += 10 * SECOND

    with pytest.raises(Unauthenticated) as ended:
        ring.find(digest("old"))
    assert ended.value.code == "expired_api_key"
    assert whose(ring, "new") == "k1"


def test_what_was_not_heard_of_for_too_long_is_refused_unless_the_key_says_serve(
    ring: Keyring, clock: HandClock
) -> None:
    assert ring.take(page(0, 2, row("k1", "a"), row("k2", "b", serve_stale=True)))
    clock.us += 61 * SECOND

    with pytest.raises(Unavailable) as stale:
        ring.find(digest("a"))
    assert stale.value.code == "keys_stale"
    assert (whose(ring, "b"), whose(ring, "static")) == ("k2", "static")
    served = ring.find(digest("b"))
    assert served is not None
    assert served.stale
    assert ring.take(page(2, 2, issued_us=clock.us))
    assert whose(ring, "a") == "k1"


def test_who_may_not_have_heard_of_a_key_yet_does_not_call_it_wrong(clock: HandClock) -> None:
    ring = Keyring({}, clock, certain=False)
    with pytest.raises(Unavailable) as unknown:
        ring.find(digest("a"))
    assert unknown.value.code == "keys_unavailable"
    assert not ring.take(page(5, 6)), "half of the keys are not all"
    assert not ring.certain
    assert ring.take(page(0, 6))
    assert ring.find(digest("a")) is None


def test_once_a_key_was_issued_nobody_is_let_in_without_one_although_it_was_revoked(clock: HandClock) -> None:
    ring = Keyring({}, clock)
    issued = [ring.issued]
    assert ring.take(page(0, 1, row("k1", "a", revoked=True)))
    issued.append(ring.issued)
    ring.take_none()
    assert [*issued, ring.issued] == [False, True, False]


def test_equal_parts_of_many_keys_are_one_object(ring: Keyring) -> None:
    assert ring.take(page(0, 1, row("k1", "a", project="red" * 9, models=("m", "n"))))
    assert ring.take(page(1, 2, row("k2", "b", project="red" * 9, models=("m", "n"))))
    one, other = ring.find(digest("a")), ring.find(digest("b"))

    assert one is not None
    assert other is not None
    assert one.project is other.project
    assert one.models is other.models


@pytest.mark.parametrize(("secret", "holds_for_s"), [("static", None), ("a", 60), ("b", 60), ("ending", 10)])
def test_what_was_found_holds_until_the_key_ends_or_grows_stale_or_anything_is_heard(
    ring: Keyring, clock: HandClock, secret: str, holds_for_s: int | None
) -> None:
    ending = row("k3", ends={"ending": START_US + 10 * SECOND})
    assert ring.take(page(0, 3, row("k1", "a"), row("k2", "b", serve_stale=True), ending))
    found = ring.find(digest(secret))
    assert found is not None
    hold = ring.hold(found)
    stands = [ring.holds(hold)]
    clock.us += 10 * SECOND - 1
    stands.append(ring.holds(hold))
    clock.us += 1
    stands.append(ring.holds(hold))
    clock.us += 50 * SECOND
    stands.append(ring.holds(hold))
    clock.us += 1
    stands.append(ring.holds(hold))

    assert stands == [True, True, holds_for_s != 10, holds_for_s != 10, holds_for_s is None]
    assert not ring.take(page(9, 10)), "a page that does not follow"
    assert not ring.holds(hold)


def test_what_was_found_of_a_stale_key_does_not_hold(ring: Keyring, clock: HandClock) -> None:
    assert ring.take(page(0, 1, row("k1", "a", serve_stale=True)))
    clock.us += 61 * SECOND
    found = ring.find(digest("a"))

    assert found is not None
    assert not ring.holds(ring.hold(found))
