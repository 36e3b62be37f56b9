"""Folders, locks and listening sockets of a house."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from gateway.places import Places
from gateway.processes.doors import (
    Claim,
    StartRefused,
    bind_public,
    bind_unix,
    check_port,
    is_answered,
    make_private,
    run_folder,
)


def test_sockets_live_in_the_data_folder_if_their_paths_fit(tmp_path: Path) -> None:
    assert run_folder(Path("/srv/t")) == Path("/srv/t/run")
    deep = tmp_path / ("d" * 100)
    outside = run_folder(deep)
    assert outside.parent == Path(tempfile.gettempdir())
    assert outside.stat().st_mode & 0o777 == 0o700
    assert run_folder(deep) == outside  # hub and worker, started apart, meet there
    assert run_folder(tmp_path / ("e" * 100)) != outside
    bind_unix(Places(data=deep, run=outside).worker(9999)).close()


def test_a_folder_that_somebody_else_put_in_our_place_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    deep = Path("/srv") / ("d" * 100)
    expected = run_folder(deep)
    expected.rmdir()
    (tmp_path / "elsewhere").mkdir()
    expected.symlink_to(tmp_path / "elsewhere")
    assert run_folder(deep) != expected


def test_a_unix_door_is_private_replaces_a_stale_one_and_shows_whether_it_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    assert not is_answered(path)
    first = bind_unix(path)
    assert is_answered(path)
    first.close()
    assert not is_answered(path)
    assert path.exists()
    second = bind_unix(path)
    assert path.stat().st_mode & 0o777 == 0o600
    second.close()


def test_a_path_too_long_for_a_socket_is_an_error_and_leaks_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        bind_unix(tmp_path / ("x" * 200))


def test_the_run_folder_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    make_private(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_several_doors_share_one_port_but_not_with_another_installation() -> None:
    first = bind_public("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = bind_public("127.0.0.1", port)
    assert second.getsockname() == first.getsockname()
    with pytest.raises(StartRefused, match=f"Port {port} .*--port"):
        check_port("127.0.0.1", port)
    first.close()
    second.close()
    check_port("127.0.0.1", port)
    check_port("127.0.0.1", 0)


def test_an_address_that_is_not_ours_or_no_address_is_refused_by_name() -> None:
    with pytest.raises(StartRefused, match=r"192\.0\.2\.1"):
        bind_public("192.0.2.1", 4000)
    with pytest.raises(StartRefused, match="--host"):
        check_port("no such host", 4000)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_works() -> None:
    door = bind_public("::1", 0)
    assert door.family == socket.AF_INET6
    door.close()


async def test_a_data_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "new")
    with pytest.raises(StartRefused, match=rf"pid {os.getpid()}.*--data-dir"):
        Claim(tmp_path / "new")
    claim.release()
    Claim(tmp_path / "new").release()


async def test_a_new_owner_waits_for_the_children_of_the_one_before(tmp_path: Path) -> None:
    former = Claim(tmp_path)
    await former.wait_for_former_children()
    inherited = os.dup(former.children_fd)  # as a child has it
    former.release()
    claim = Claim(tmp_path)
    with pytest.raises(StartRefused, match="earlier gateway"):
        await claim.wait_for_former_children(patience_s=0.05)
    os.close(inherited)
    await claim.wait_for_former_children(patience_s=0.05)
    claim.release()
