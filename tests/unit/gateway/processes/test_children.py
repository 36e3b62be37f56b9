"""How long a place stays empty, and doors that open again."""

from __future__ import annotations

import socket

from gateway.processes.children import Backoff, Door


def test_waits_double_from_a_quarter_second_to_half_a_minute() -> None:
    backoff = Backoff(spread=lambda: 1.0)
    waits = [backoff.after(lived_s=0.1) for _ in range(11)]
    assert waits == [0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_process_that_lived_ten_seconds_is_started_again_at_once() -> None:
    backoff = Backoff(spread=lambda: 1.0)
    assert [backoff.after(lived) for lived in (0, 0, 0, 10.0, 9.9)] == [0, 0.25, 0.5, 0, 0.25]


def test_waits_are_spread_so_that_children_do_not_come_back_all_at_once() -> None:
    assert Backoff(spread=lambda: 1.2).after(0) == 0
    waits = set()
    for _ in range(50):
        backoff = Backoff()
        backoff.after(0)
        waits.add(backoff.after(0))
    assert len(waits) > 10
    assert all(0.2 <= wait <= 0.3 for wait in waits)


def test_it_never_runs_out_of_waits() -> None:
    backoff = Backoff(spread=lambda: 1.0)
    assert [backoff.after(0) for _ in range(5000)][-1] == 30


def test_a_closed_door_opens_again_when_it_is_needed() -> None:
    opened: list[socket.socket] = []

    def reopen() -> socket.socket:
        opened.append(socket.socket())
        return opened[-1]

    door = Door(socket.socket(), reopen)
    first = door.fileno()
    assert door.fileno() == first
    assert not opened
    door.close()
    door.close()
    assert door.fileno() == opened[0].fileno()
    door.close()
