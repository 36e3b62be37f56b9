"""What a call costs: CPU microseconds per request of one worker, beside nginx as a plain proxy.

Run by `make bench`, with everything on (identity, journal, price, metrics). Both servers are loaded in turn, round by
round, and each row is the round with the median ratio; compare rows of one run only. CPU is read from /proc over all
threads, so other programs do not count, but they do evict caches: keep the machine quiet.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

import msgspec

from tests.bench import rig

LIMITS = {"paced": 1.5, "json": 6.0, "sse": 4.0}
"""The most that a worker may cost, in nginxes. The bursts come last: the ledger is busy with them for some time."""
WARM_UP_S = 1


class Round(msgspec.Struct):
    """One burst at nginx and one at the worker, in CPU microseconds per request."""

    nginx_us: float
    worker_us: float
    telemetry_us: float
    p99: str
    per_s: float

    @property
    def ratio(self) -> float:
        """The worker's cost in nginxes."""
        return self.worker_us / self.nginx_us


class Bench:
    """The servers of one run."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        backend, self._proxy, self._port = rig.free_port(), rig.free_port(), rig.free_port()
        stack.enter_context(rig.answers(backend))
        servers = rig.PROXY.format(port=self._proxy, backend=backend)
        self._nginx = stack.enter_context(rig.nginx(folder / "plain", servers, core=0))
        self.house = stack.enter_context(rig.tidegate(folder / "house", self._port, backend))
        self._folder = folder

    def round(self, kind: str, *, connections: int, seconds: int) -> Round:
        """Load both in turn."""
        script = rig.post_script(self._folder, kind)
        path = "v1/chat/completions"
        nginx_us, _, _, _ = self._load(
            self._nginx, f"http://127.0.0.1:{self._proxy}/{kind}/{path}", script, connections, seconds
        )
        worker_us, telemetry_us, p99, per_s = self._load(
            [self.house["worker"]], f"http://127.0.0.1:{self._port}/{path}", script, connections, seconds
        )
        return Round(nginx_us, worker_us, telemetry_us, p99, per_s)

    def _load(
        self, pids: list[int], url: str, script: Path, connections: int, seconds: int
    ) -> tuple[float, float, str, float]:
        rig.burst(url, script, connections=connections, seconds=WARM_UP_S)
        telemetry = [self.house["telemetry"]]
        before, other = rig.cpu_us(pids), rig.cpu_us(telemetry)
        done, p99 = rig.burst(url, script, connections=connections, seconds=seconds)
        own, behind = rig.cpu_us(pids) - before, rig.cpu_us(telemetry) - other
        return own / done, behind / done, p99, done / seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64])
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-")))
        folder.chmod(0o755)
        bench = Bench(stack, folder)
        worker = bench.house["worker"]
        rig.report(
            f"worker after start: {rig.cpu_us([worker]) / 1e6:.2f} s CPU, {rig.rss_mb(worker):.0f} MB resident"
        )
        rig.report("work      c  nginx us  worker us  ratio  at most  telemetry us       p99    req/s")
        for kind, limit in LIMITS.items():
            for connections in options.connections:
                rounds = [
                    bench.round(kind, connections=connections, seconds=options.seconds)
                    for _ in range(options.rounds)
                ]
                row = sorted(rounds, key=lambda found: found.ratio)[len(rounds) // 2]
                rig.report(
                    f"{kind:6}{connections:5}{row.nginx_us:10.1f}{row.worker_us:11.1f}{row.ratio:7.2f}{limit:9.1f}"
                    f"{row.telemetry_us:14.1f}{row.p99:>10}{row.per_s:9.0f}"
                )
        rig.report(f"worker after load: {rig.rss_mb(worker):.0f} MB resident")


if __name__ == "__main__":
    main()
