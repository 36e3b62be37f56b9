from __future__ import annotations

from memory.debounce import ENOUGH_TOKENS, IDLE_US, MOST_TURNS, due_us, is_full, pause_us


def test_a_conversation_is_due_after_silence_or_at_once() -> None:
    assert due_us(10, turns=1, tokens=5, urgent=False) == 10 + IDLE_US
    assert due_us(10, turns=1, tokens=5, urgent=True) == 10
    assert due_us(10, turns=4, tokens=5, urgent=False) == 10
    assert due_us(10, turns=1, tokens=ENOUGH_TOKENS, urgent=False) == 10


def test_a_reading_has_an_end() -> None:
    assert not is_full(MOST_TURNS - 1, 0)
    assert is_full(MOST_TURNS, 0)
    assert is_full(1, 3000)


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    assert [pause_us(attempt) // 1_000_000 for attempt in (1, 2, 3, 8, 9, 500)] == [5, 10, 20, 640, 900, 900]
