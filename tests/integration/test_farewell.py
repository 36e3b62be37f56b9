"""The end of a house under load: who was let in is served, and nobody is left behind."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fakes.callers import Callers, Heard, asked_events, call, leisurely
from tests.fakes.provider import Provider, Script
from tests.fakes.tidegate import Tidegate, eventually


def config(provider: Provider, *, drain_s: float) -> dict[str, Any]:
    return {
        "providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}},
        "server": {"drain_s": drain_s, "workers": 2},
    }


def alive(pid: int) -> bool:
    """Whether the process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def everybody(house: Tidegate) -> list[int]:
    assert house.process is not None
    return [house.process.pid, *(pid for role in ("worker", "hub", "telemetry") for pid in house.pids(role))]


def leave_while_calling(house: Tidegate) -> dict[str, Heard | None]:
    """Send SIGTERM while callers call; return what they heard when all of them were turned away."""
    script = {"text": "tide " * 30}
    with Callers(house, threads=8) as callers:
        callers.await_more(30)
        callers.stop_when_refused()
        slow = call(
            house, "sandbox/pace-100", event="slow", stream=True, on_first=house.say_stop, sandbox=script
        )
        callers.await_end()
    return {**callers.tried, "slow": slow}


def test_on_sigterm_every_request_that_was_taken_is_answered(tmp_path: Path) -> None:
    with Provider(leisurely).in_thread() as provider:
        house = Tidegate(tmp_path, config(provider, drain_s=20)).start()
        processes = everybody(house)
        tried = leave_while_calling(house)
        assert house.await_end() == 0, house.log()
        assert not any(map(alive, processes))
        with house:
            answered = {event for event, heard in tried.items() if heard and heard.answered}
            house.await_calls(len(answered))
            rows = {row["event_id"]: row["status"] for row in house.calls()}

    # A connection that nobody had taken from the socket's queue may be reset: then nobody was asked.
    assert "slow" in answered
    failed = set(tried) - answered
    assert rows == dict.fromkeys(answered, "ok")
    assert failed & asked_events(provider) == set()
    assert all(heard is None or heard.status == 0 for event, heard in tried.items() if event in failed)


def test_a_stream_longer_than_the_drain_is_broken_off_and_accounted_for(tmp_path: Path) -> None:
    house = Tidegate(tmp_path, {"server": {"drain_s": 1}}).start()

    script = {"text": "tide " * 400}
    heard = call(house, "sandbox/pace-50", event="long", stream=True, on_first=house.say_stop, sandbox=script)

    assert house.await_end() == 0, house.log()
    assert heard.status == 200
    assert not heard.whole
    assert b"[DONE]" not in heard.body
    with house:
        (row,) = house.await_calls(1, event_id="long")
    assert row["status"] == "error"
    assert row["output_tokens"] > 0
    assert "Traceback" not in house.log()


def test_calls_that_the_drain_leaves_without_an_answer_are_errors_however_many(tmp_path: Path) -> None:
    with Provider(Script(body=b"{", stall_at=1)).in_thread() as provider:
        settings = config(provider, drain_s=1)
        house = Tidegate(tmp_path, {**settings, "server": {"drain_s": 1, "workers": 1}}).start()
        with ThreadPoolExecutor(3) as callers:
            asked = [callers.submit(house.chat, model="fake/m", event="unanswered") for _ in range(3)]
            under_way = "all calls to be under way"
            eventually(lambda: sum(one.method == "POST" for one in provider.requests) == 3, what=under_way)
            house.say_stop()
            statuses = [one.result().status for one in asked]
        assert house.await_end() == 0, house.log()
    with house:
        rows = house.await_calls(3, event_id="unanswered")
    assert statuses == [503] * 3
    assert [row["status"] for row in rows] == ["error"] * 3


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    house = Tidegate(tmp_path).start()
    assert house.chat().status == 200
    processes = everybody(house)

    assert house.stop(signal.SIGINT) == 0

    assert len(processes) == 4
    assert not any(map(alive, processes))
    assert "Traceback" not in house.log()


def test_a_killed_supervisor_leaves_no_process_and_can_be_started_again_at_once(tmp_path: Path) -> None:
    with Provider(leisurely).in_thread() as provider:
        house = Tidegate(tmp_path, config(provider, drain_s=1)).start()
        processes = everybody(house)
        assert len(processes) == 5

        def kill() -> None:
            house.stop(signal.SIGKILL)

        # Somebody is being answered all the while.
        heard = call(
            house,
            "sandbox/pace-100",
            event="orphan",
            stream=True,
            on_first=kill,
            sandbox={"text": "tide " * 100},
        )
        assert not heard.answered
        killed = time.monotonic()
        eventually(lambda: not any(map(alive, processes)), what="an empty house", patience_s=3)
        assert time.monotonic() - killed < 3

        with house:
            assert call(house, "fake/gpt-4o-mini", event="next").answered
            assert [row["status"] for row in house.await_calls(1, event_id="next")] == ["ok"]
            (orphan,) = house.await_calls(1, event_id="orphan")
            assert orphan["status"] in {"error", "interrupted"}
