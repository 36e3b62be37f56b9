"""What a call costs: CPU microseconds per request of one worker, beside nginx as a plain proxy.

Run by `make bench`. Needs nginx and wrk (Debian: nginx-light, wrk). The upstream is an nginx that
answers from memory; every server's CPU is read from /proc over all its processes, so what other
programs do to the wall clock matters little. Compare rows of one run only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec

JSON_ANSWER = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench-model",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},'
    '"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":42,'
    '"total_tokens":222,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}'
) % ("lorem ipsum " * 8)

PROMPT = "The quick brown fox jumps over the lazy dog. " * 15


def _event(delta: str, finish: str = "null") -> str:
    return (
        'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,'
        '"model":"bench-model","service_tier":"default","system_fingerprint":"fp_bench","choices":[{"index":0,'
        f'"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}\n\n'
    )


SSE_ANSWER = (
    "".join(_event(f'{{"content":"token {number} "}}') for number in range(50))
    + _event("{}", '"stop"')
    + 'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-model",'
    '"choices":[],"usage":{"prompt_tokens":180,"completion_tokens":50,"total_tokens":230}}\n\n'
    "data: [DONE]\n\n"
)

NGINX = """
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {servers}
}}
"""
ANSWERS = """
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location /json/ {{ default_type application/json; return 200 '{json}'; }}
    location /sse/ {{ default_type text/event-stream; {sse} }}
  }}
"""
PROXY = """
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
                 proxy_buffering off; }} }}
"""

CONFIG = """
data_dir: {folder}/data
server: {{port: {port}, workers: 1}}
providers:
  json: {{base_url: "http://127.0.0.1:{backend}/json/v1", api_key: bench}}
  sse: {{base_url: "http://127.0.0.1:{backend}/sse/v1", api_key: bench}}
"""

WORK = {"json": False, "sse": True}
WARM_UP_S = 1


def in_pieces(text: str) -> str:
    """Return nginx directives that answer with `text`; one of its parameters holds at most 4 KB."""
    pieces = [text[start : start + 3000] for start in range(0, len(text), 3000)]
    names = [f"$p{number}" for number in range(len(pieces))]
    settings = "".join(f"set {name} '{piece}'; " for name, piece in zip(names, pieces, strict=True))
    return f'{settings} return 200 "{"".join(names)}";'


def free_port() -> int:
    """Return a port nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_us(pids: list[int]) -> float:
    """Return user and system time of these processes so far, in microseconds."""
    tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) * tick_us
    return total


def children(pid: int) -> list[int]:
    """Return the processes that `pid` started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def wait_for(url: str, *, deadline_s: float = 30) -> None:
    """Return once `url` answers."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def nginx(folder: Path, servers: str, core: int) -> Iterator[list[int]]:
    """Run an nginx with these servers; yield its processes."""
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, servers=servers))
    command = ["taskset", "-c", str(core), "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not (workers := children(process.pid)):
            if process.poll() is not None:
                raise SystemExit(f"nginx does not start; see {folder}")
            time.sleep(0.02)
        yield [process.pid, *workers]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextlib.contextmanager
def tidegate(folder: Path, port: int, backend: int) -> Iterator[dict[str, int]]:
    """Run a whole house with one worker on core 0; yield its processes by role."""
    folder.mkdir()
    config = folder / "tidegate.yaml"
    config.write_text(CONFIG.format(folder=folder, port=port, backend=backend))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--config", str(config)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health/live")

        roles = {"supervisor": process.pid}
        for child in children(process.pid):
            command = Path(f"/proc/{child}/cmdline").read_text()
            roles[next(role for role in ("worker", "hub", "telemetry") if role in command)] = child
        os.system(f"taskset -a -cp 0 {roles['worker']} > /dev/null")
        os.system(f"taskset -a -cp 1 {roles['telemetry']} > /dev/null")
        yield roles
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def post_script(folder: Path, kind: str) -> Path:
    """Write the request as wrk wants it."""
    body = msgspec.json.encode(
        {
            "model": f"{kind}/bench-model",
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": PROMPT},
            ],
            "temperature": 0.2,
            **({"stream": True} if WORK[kind] else {}),
        }
    ).decode()
    path = folder / f"{kind}.lua"
    path.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{body}]==]\n"
        "wrk.headers['Content-Type'] = 'application/json'\nwrk.headers['Authorization'] = 'Bearer bench'\n"
        "wrk.headers['x-tidegate-user-id'] = 'bench-user'\n"
    )
    return path


def burst(url: str, script: Path, *, connections: int, seconds: int) -> tuple[int, str]:
    """Load `url`; return how many answers came, and wrk's p99 latency."""
    run = subprocess.run(
        [
            "taskset",
            "-c",
            "1",
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            script,
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    if any("Non-2xx" in line for line in lines):
        raise SystemExit(f"errors in the benchmark:\n{run.stdout}")
    done = next(int(line.split()[0]) for line in lines if "requests in" in line)
    p99 = next((line.split()[1] for line in lines if "99%" in line), "?")
    return done, p99


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64])
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-")))
        folder.chmod(0o755)
        backend, proxy, port = free_port(), free_port(), free_port()
        answers = ANSWERS.format(port=backend, json=JSON_ANSWER, sse=in_pieces(SSE_ANSWER))
        stack.enter_context(nginx(folder / "answers", answers, core=1))
        plain = stack.enter_context(
            nginx(folder / "plain", PROXY.format(port=proxy, backend=backend), core=0)
        )
        house = stack.enter_context(tidegate(folder / "house", port, backend))
        worker = house["worker"]
        report(f"worker after start: {cpu_us([worker]) / 1e6:.2f} s of CPU, {rss_mb(worker):.0f} MB resident")
        report(
            f"{'work':6}{'c':>5}{'nginx us':>10}{'worker us':>11}{'ratio':>7}{'telemetry us':>14}{'p99':>10}{'req/s':>8}"
        )
        for kind in WORK:
            script = post_script(folder, kind)
            for connections in options.connections:
                measure(kind, script, connections, plain, proxy, house, port, options)
        report(f"worker after load: {rss_mb(worker):.0f} MB resident")


def measure(
    kind: str,
    script: Path,
    connections: int,
    plain: list[int],
    proxy: int,
    house: dict[str, int],
    port: int,
    options: argparse.Namespace,
) -> None:
    """Measure both servers in turn, several rounds; print the medians."""
    rows = []
    for _ in range(options.rounds):
        row: list[float] = []
        for pids, url in (
            (plain, f"http://127.0.0.1:{proxy}/{kind}/v1/chat/completions"),
            ([house["worker"]], f"http://127.0.0.1:{port}/v1/chat/completions"),
        ):
            burst(url, script, connections=connections, seconds=WARM_UP_S)
            before, other = cpu_us(pids), cpu_us([house["telemetry"]])
            done, p99 = burst(url, script, connections=connections, seconds=options.seconds)
            row += [(cpu_us(pids) - before) / done, (cpu_us([house["telemetry"]]) - other) / done]
        rows.append((row[0], row[2], row[3], p99, done / options.seconds))
    rows.sort(key=lambda found: found[1] / found[0])
    nginx_us, worker_us, telemetry_us, p99, rate = rows[len(rows) // 2]
    report(
        f"{kind:6}{connections:5}{nginx_us:10.1f}{worker_us:11.1f}{worker_us / nginx_us:7.2f}"
        f"{telemetry_us:14.1f}{p99:>10}{rate:8.0f}"
    )


def report(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
