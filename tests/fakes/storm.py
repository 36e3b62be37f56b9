"""Somebody who kills -9 the processes of a house under load, at the moments that hurt."""

from __future__ import annotations

import os
import random
import signal
import time

from tests.fakes.callers import call
from tests.fakes.tidegate import PATIENCE_S, Tidegate, eventually


class Storm:
    """Kills whom it is told to. `inserting`: the collector is killed in the middle of an insert."""

    def __init__(self, house: Tidegate, source: random.Random, *, inserting: bool = True) -> None:
        self.house = house
        self.in_an_insert = 0
        self.cut: list[str] = []
        """Events of calls that were under way in a worker when it was killed."""
        self._source = source
        self._inserting = inserting
        self._plan = house.data / "journal" / "store.plan"
        """There while a batch is being delivered."""

    def strike(self, victim: str) -> None:
        """Kill -9 one of them."""
        match victim:
            case "worker":
                self._kill_a_worker()
            case "telemetry" if self._inserting:
                self._kill_in_an_insert()
            case "telemetry" | "hub":
                self.house.kill(victim)
            case _:
                self.house.stop(signal.SIGKILL)
                self.house.start()

    def _kill_a_worker(self) -> None:
        """Kill the one that is answering us."""
        event = f"cut-{len(self.cut)}"
        workers = set(self.house.pids("worker"))

        def kill() -> None:
            for pid in workers:  # which of them has our stream, nobody can tell
                os.kill(pid, signal.SIGKILL)

        heard = call(
            self.house, "sandbox/pace-200", event=event, stream=True, on_first=kill, sandbox={"chunks": 50}
        )
        assert not heard.whole
        self.cut.append(event)

    def _kill_in_an_insert(self) -> None:
        """Kill the process somewhere between the plan of a batch and its end, by the last batch's measure."""
        pid = eventually(lambda: self.house.pids("telemetry"), what="a telemetry process")[0]
        self._await_plan(there=False)
        self._await_plan(there=True)
        began = time.monotonic()
        self._await_plan(there=False)
        lasts_s = time.monotonic() - began
        while True:
            self._await_plan(there=True)
            time.sleep(self._source.random() * lasts_s)
            os.kill(pid, signal.SIGSTOP)
            if self._plan.exists():
                break
            os.kill(pid, signal.SIGCONT)  # it was quicker this time
        os.kill(pid, signal.SIGKILL)
        self.in_an_insert += 1

    def _await_plan(self, *, there: bool) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self._plan.exists() is not there:
            assert time.monotonic() < deadline, "the collector does nothing"
            time.sleep(0.0005)


def settled_down(house: Tidegate, *, patience_s: float = PATIENCE_S) -> dict[str, int]:
    """Wait until the collector has everything; return its counts."""

    def look() -> dict[str, int] | None:
        sinks = {sink["name"]: sink for sink in house.get("/health/ready").json()["sinks"]}
        if not sinks.get("collector", {}).get("ok"):
            return None
        detail = sinks["collector"]["detail"]
        done = detail["lag_bytes"] == detail["open_calls"] == 0
        return detail["counts"] if done else None

    return eventually(look, what="the collector to have everything", patience_s=patience_s)
