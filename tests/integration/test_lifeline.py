"""Each of the two ways in which a child notices that its supervisor is gone, by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from gateway.processes.lifeline import Seat
from tests.fakes.waiting import until

CHILD = """
import signal, sys, time
from gateway.processes.lifeline import die_with_parent, take_seat
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
die_with_parent(take_seat(sys.argv), grace_s=0.1)
print("alive", flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys
from gateway.processes.lifeline import Seat
seat = Seat(role="hub", supervisor_pid=os.getpid(), life_fd=int(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], seat.argument(), ""], pass_fds=[seat.life_fd])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
async def pipe() -> AsyncIterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


async def _child(pipe: list[int], mood: str, *, supervisor_pid: int) -> asyncio.subprocess.Process:
    seat = Seat(role="hub", supervisor_pid=supervisor_pid, life_fd=pipe[0])
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        seat.argument(),
        mood,
        pass_fds=[pipe[0]],
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize(("mood", "code"), [("", -signal.SIGTERM), ("deaf", 3)])
async def test_the_end_of_the_pipe_ends_the_child_even_one_that_ignores_sigterm(
    pipe: list[int], mood: str, code: int
) -> None:
    process = await _child(pipe, mood, supervisor_pid=os.getpid())
    assert process.stdout is not None
    assert await process.stdout.readline() == b"alive\n"
    os.close(pipe.pop())
    async with asyncio.timeout(5):
        await process.communicate()
    assert process.returncode == code


async def test_a_child_born_after_its_supervisors_death_does_not_even_begin(pipe: list[int]) -> None:
    process = await _child(pipe, "", supervisor_pid=1_999_999_999)
    out, _ = await process.communicate()
    assert out == b""
    assert process.returncode == 3


@pytest.mark.skipif(sys.platform != "linux", reason="a signal of Linux")
async def test_linux_tells_the_child_even_if_somebody_still_holds_the_pipe(pipe: list[int]) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(pipe[0]), CHILD, pass_fds=[pipe[0]], stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    said = {await parent.stdout.readline(), await parent.stdout.readline()}
    assert b"alive\n" in said
    pid = int(next(iter(said - {b"alive\n"})))
    parent.kill()
    await until(lambda: not _alive(pid))
    await parent.communicate()  # the child, too, has stdout open


async def test_who_leaves_has_said_everything() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from gateway.processes.lifeline import leave; print('last words', end=''); leave(7)",
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert said == b"last words"
    assert process.returncode == 7


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
