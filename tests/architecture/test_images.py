"""The image and the Compose file, read and carried out without a container engine.

No engine builds them here: every instruction is parsed and checked against the repository, and the
commands themselves (`pip install`, the start, the health check) run on this machine.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
import yaml

from gateway import cli, config
from gateway.settings import Settings
from tests.fakes.web import answering

ROOT = Path(__file__).parents[2]
KNOWN = {*config.VARIABLES, *config.NETWORK_VARIABLES, *config.OTHER_VARIABLES}
STORES = {"clickhouse", "qdrant", "redis", "postgres"}


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def all_of(name: str) -> list[str]:
    return [rest for one, rest in instructions() if one == name]


def argv(rest: str) -> list[str]:
    return msgspec.json.decode(rest, type=list[str])


def copied() -> list[tuple[str, str]]:
    """Source and target of every COPY."""
    pairs = []
    for rest in all_of("COPY"):
        *sources, target = rest.split()
        pairs += [(source, target) for source in sources]
    return pairs


def environment() -> dict[str, str]:
    pairs = [pair.partition("=") for rest in all_of("ENV") for pair in shlex.split(rest)]
    return {name: value for name, _, value in pairs}


def health_check() -> list[str]:
    (rest,) = all_of("HEALTHCHECK")
    return argv(rest.partition("CMD ")[2])


def installs() -> list[list[str]]:
    return [shlex.split(rest) for rest in all_of("RUN") if rest.startswith("pip ")]


def test_every_instruction_is_one_the_other_tests_know():
    assert {name for name, _ in instructions()} == {
        *("FROM", "RUN", "WORKDIR", "COPY", "ENV", "VOLUME", "USER", "EXPOSE"),
        *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }


def test_everything_copied_exists_and_reaches_the_engine():
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    for source, _ in copied():
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), (
            f".dockerignore keeps {source} out"
        )


def test_every_package_of_the_project_is_copied():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert packages <= {source for source, _ in copied()}
    assert all(Path(target).name == source for source, target in copied() if source in packages)


def test_pip_installs_with_the_constraints():
    (install,) = installs()

    assert install[:2] == ["pip", "install"]
    assert install[install.index("-c") + 1] in {source for source, _ in copied()}


def test_the_base_image_is_a_python_that_the_project_supports():
    (base,) = all_of("FROM")
    version = re.fullmatch(r"python:3\.(\d+)-slim", base)

    assert version is not None
    assert int(version[1]) >= 11


def test_it_starts_a_module_and_a_command_that_exist():
    (entry,), (command,) = all_of("ENTRYPOINT"), all_of("CMD")
    python, option, module = argv(entry)
    names = {one.name or getattr(one.callback, "__name__", "") for one in cli.app.registered_commands}

    assert (python, option) == ("python", "-m")
    assert find_spec(f"{module}.__main__") is not None
    assert argv(command)[0] in names


def test_its_variables_are_read_and_it_is_neither_root_nor_open():
    variables = environment()

    assert {name for name in variables if name.startswith("TIDEGATE_")} <= KNOWN
    assert config.in_container(variables)
    settings = config.load(None, variables)
    assert settings.server.host == "0.0.0.0"
    assert [settings.data_dir] == all_of("VOLUME")
    assert all_of("WORKDIR")[-1] == settings.data_dir
    assert all_of("EXPOSE") == [str(settings.server.port)]
    assert all_of("USER") == ["tidegate"]
    assert [name for name, _ in instructions()].index("USER") > max(
        index for index, (name, _) in enumerate(instructions()) if name == "RUN"
    )


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_whether_the_gateway_lives(status, code):
    python, *rest = health_check()
    with answering(status=status) as (port, asked):
        env = {
            "TIDEGATE_PORT": str(port),
            "HTTP_PROXY": "http://192.0.2.1:1",
            "http_proxy": "http://192.0.2.1:1",
        }
        done = subprocess.run([sys.executable, *rest], env=env, check=False, timeout=20)

    assert python == "python"
    assert (done.returncode, asked) == (code, [("/health/live", "")])


# --- docker-compose.yml ---------------------------------------------------------------------------

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
GATEWAYS = {name: service for name, service in SERVICES.items() if service.get("build")}


def defaulted(value: object) -> str:
    """A value as Compose makes it where no variable is set."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
    assert "$" not in text, "a variable without a default stops everybody who has not set it"
    return text


def test_without_a_profile_there_is_one_gateway_and_nothing_else():
    assert [name for name, service in SERVICES.items() if not service.get("profiles")] == ["gateway"]


def test_the_profile_scale_has_the_stores_and_a_gateway_that_uses_them():
    scaled = {name for name, service in SERVICES.items() if service.get("profiles") == ["scale"]}

    assert scaled == {"gateway-scale", *STORES}
    url = defaulted(SERVICES["gateway-scale"]["environment"]["TIDEGATE_CLICKHOUSE_URL"])
    clickhouse = {name: defaulted(value) for name, value in SERVICES["clickhouse"]["environment"].items()}
    assert url == (
        f"http://{clickhouse['CLICKHOUSE_USER']}:{clickhouse['CLICKHOUSE_PASSWORD']}"
        f"@clickhouse:8123/{clickhouse['CLICKHOUSE_DB']}"
    )


@pytest.mark.parametrize("name", sorted(GATEWAYS))
def test_a_gateways_variables_are_read_and_make_good_settings(name):
    variables = {key: defaulted(value) for key, value in GATEWAYS[name]["environment"].items()}

    assert set(variables) <= KNOWN | {"OPENAI_API_KEY"}
    settings = config.load(None, {**environment(), **variables}, key_variables={"openai": "OPENAI_API_KEY"})
    assert settings.providers == {}


def test_gateways_are_reached_from_this_machine_only_and_at_different_ports():
    doors = [port.split(":") for service in GATEWAYS.values() for port in service["ports"]]

    assert [(address, inside) for address, _, inside in doors] == [
        ("127.0.0.1", str(Settings().server.port))
    ] * 2
    assert len({outside for _, outside, _ in doors}) == 2


def test_gateways_may_drain_before_they_are_killed():
    for service in GATEWAYS.values():
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings().server.drain_s
        assert service["init"] is True


def test_stores_open_no_port_and_have_a_version():
    for name in STORES:
        assert "ports" not in SERVICES[name]
        assert re.search(r":v?\d", SERVICES[name]["image"])


def test_volumes_and_dependencies_are_declared():
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert used == set(COMPOSE["volumes"])
    assert {other for service in SERVICES.values() for other in service.get("depends_on", {})} <= set(
        SERVICES
    )


# --- the commands themselves ----------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def lives(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.slow
def test_the_images_commands_install_and_start_a_gateway(tmp_path):
    app = tmp_path / "app"
    for source, target in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, app / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            app.mkdir(exist_ok=True)
            shutil.copy(ROOT / source, app / target)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    for install in installs():
        pip = [tmp_path / "venv/bin" / install[0], *install[1:]]
        done = subprocess.run(pip, cwd=app, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    data, port = tmp_path / "data", free_port()
    data.mkdir()
    inherited = {
        name: value for name, value in config.environment().items() if name in ("PATH", "HOME", "LANG")
    }
    env = {**inherited, **environment(), "TIDEGATE_DATA_DIR": str(data), "TIDEGATE_PORT": str(port)}
    (entry,), (command,) = all_of("ENTRYPOINT"), all_of("CMD")
    start = [str(tmp_path / "venv/bin/python"), *argv(entry)[1:], *argv(command)]
    with (tmp_path / "log").open("wb") as log:
        # Not from the repository: the installed packages must be enough.
        running = subprocess.Popen(start, cwd=data, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not lives(port):
            assert running.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        checked = subprocess.run([start[0], *health_check()[1:]], env=env, check=False)
        assert checked.returncode == 0
    finally:
        running.send_signal(signal.SIGTERM)
        code = running.wait(timeout=60)
        shutil.rmtree(tmp_path / "venv")  # a gigabyte that pytest would keep
    assert code == 0
    key = (data / "secrets/first-key").read_text().strip()
    assert (tmp_path / "log").read_text().count(key) == 1
