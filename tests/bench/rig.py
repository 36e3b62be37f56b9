"""What the benchmarks are made of: a provider, an nginx, a whole house, a load, and a look at /proc.

Needs nginx and wrk (Debian: nginx-light, wrk). Servers under test run on core 0, the rest on core 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from gateway.config import environment

PROMPT = "The quick brown fox jumps over the lazy dog. " * 15


NGINX = """
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {servers}
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
memory: {{enabled: {memory}}}
providers:
  json: {{base_url: "http://127.0.0.1:{backend}/json/v1", api_key: bench}}
  sse: {{base_url: "http://127.0.0.1:{backend}/sse/v1", api_key: bench}}
  paced: {{base_url: "http://127.0.0.1:{backend}/paced/v1", api_key: bench}}
"""

ROOT = Path(__file__).parents[2]
WORK = {"json": False, "sse": True}


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


def wait_for_port(port: int, *, deadline_s: float = 10) -> None:
    """Return once somebody listens at the port."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


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
def answers(port: int) -> Iterator[None]:
    """Run the provider on core 1."""
    command = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.answers", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for_port(port)
        yield
    finally:
        process.kill()
        process.wait()


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
def tidegate(
    folder: Path,
    port: int,
    backend: int,
    *,
    command: Sequence[str] = ("-m", "gateway", "serve", "--config"),
    memory: bool = False,
) -> Iterator[dict[str, int]]:
    """Run a whole house with one worker, alone on core 0; yield its processes by role."""
    folder.mkdir()
    config = folder / "tidegate.yaml"
    config.write_text(
        CONFIG.format(folder=folder, port=port, backend=backend, memory=msgspec.json.encode(memory).decode())
    )
    environ = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, str(config)], env=environ, stdout=log, stderr=log, cwd=ROOT
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health/live")
        roles = {"supervisor": process.pid}
        for child in children(process.pid):
            words = Path(f"/proc/{child}/cmdline").read_text()
            roles[next(role for role in ("worker", "hub", "telemetry") if f'"role":"{role}"' in words)] = (
                child
            )
        for role, core in (("worker", 0), ("telemetry", 1), ("hub", 1)):
            pin = ["taskset", "-a", "-cp", str(core), str(roles[role])]
            subprocess.run(pin, stdout=subprocess.DEVNULL, check=True)
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
            **({"stream": True} if kind != "json" else {}),
        }
    )
    return script(folder, kind, body)


def script(folder: Path, name: str, body: bytes) -> Path:
    """Write a request as wrk wants it."""
    path = folder / f"{name}.lua"
    path.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{body.decode()}]==]\n"
        "wrk.headers['Content-Type'] = 'application/json'\nwrk.headers['Authorization'] = 'Bearer bench'\n"
        "wrk.headers['x-tidegate-user-id'] = 'bench-user'\n"
    )
    return path


def burst(url: str, script: Path, *, connections: int, seconds: int) -> tuple[int, str]:
    """Load `url`; return how many answers came, and wrk's p99 latency."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s"]
    run = subprocess.run([*command, str(script), url], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    if any("Non-2xx" in line for line in lines):
        raise SystemExit(f"errors in the benchmark:\n{run.stdout}")
    done = next(int(line.split()[0]) for line in lines if "requests in" in line)
    p99 = next((line.split()[1] for line in lines if "99%" in line), "?")
    return done, p99


def report(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
