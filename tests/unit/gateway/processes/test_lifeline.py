"""What a child gets from its supervisor."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from gateway.places import Places
from gateway.processes.lifeline import Seat, listener, read_settings, say_ready, settings_file, take_seat
from gateway.settings import Key, ProviderSettings, Server, Settings


def test_a_seat_survives_the_command_line() -> None:
    seat = Seat(
        role="worker", slot=3, supervisor_pid=7, life_fd=4, listen_fd=9, data_dir='/d "ä"', run_dir="/r"
    )
    assert take_seat(["program", seat.argument()]) == seat
    assert seat.places == Places(data=Path('/d "ä"'), run=Path("/r"))


def test_settings_can_be_read_again_and_again_and_leave_no_file() -> None:
    settings = Settings(
        server=Server(port=1, names=("a",)),
        keys=(Key(name="k", hash="00"),),
        providers={"p": ProviderSettings(api_key="x" * 100_000)},
    )
    fd = settings_file(settings)
    seat = Seat(role="hub", settings_fd=fd)
    assert read_settings(seat) == settings
    assert read_settings(seat) == settings
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)


def test_ready_is_said_once_and_to_nobody_without_complaint() -> None:
    read, write = os.pipe()
    say_ready(Seat(role="hub", ready_fd=write))
    assert os.read(read, 10) == b"1"
    assert os.read(read, 10) == b""
    os.close(read)
    say_ready(Seat(role="hub"))
    read, write = os.pipe()
    os.close(read)
    say_ready(Seat(role="hub", ready_fd=write))


def test_an_inherited_listener_is_not_passed_on() -> None:
    door = socket.create_server(("127.0.0.1", 0))
    address = door.getsockname()
    fd = door.detach()
    os.set_inheritable(fd, True)
    taken = listener(fd)
    assert taken.getsockname() == address
    assert not taken.get_inheritable()
    assert not taken.getblocking()
    taken.close()
