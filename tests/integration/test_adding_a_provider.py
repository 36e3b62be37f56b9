"""The README's section on adding a provider, carried out: its settings, its row and its class."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

from gateway.clock import SystemClock
from gateway.providers import catalog
from gateway.providers.base import Outgoing
from gateway.providers.base import Provider as Adapter
from gateway.providers.catalog import Catalog, build
from gateway.providers.openai import OpenAICompatible
from gateway.settings import Network, ProviderSettings, Timeouts
from gateway.upstream import Upstream
from tests.fakes.provider import Provider, Received, Script, chat
from tests.fakes.tidegate import Tidegate

README = Path(__file__).parents[2] / "README.md"
_SECTION = re.compile(r"^## Adding a provider\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MOST_LINES = 150


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """The section's code, by language."""
    section = _SECTION.search(README.read_text(encoding="utf-8"))
    if section is None:
        pytest.skip("the README has no such section")
    return dict(_BLOCK.findall(section[1]))


def wants(header: str, value: str) -> Any:
    """A provider that answers whoever sends this header."""

    def answer(request: Received) -> Script:
        if request.headers.get(header) != value:
            return Script(status=401, body=b'{"error":{"message":"who?","code":"invalid_api_key"}}')
        return chat("Ahoy")

    return answer


def test_its_settings_are_all_a_house_needs(example: dict[str, str], tmp_path: Path) -> None:
    config = yaml.safe_load(example["yaml"])
    (name,) = config["providers"]
    row = config["providers"][name]
    with Provider(wants("authorization", "Bearer secret")).in_thread() as provider:
        row["base_url"] = f"{provider.base_url}/v1"
        with Tidegate(tmp_path, config, env={row["api_key_env"]: "secret"}) as house:
            reply = house.chat("Hello", model=f"{name}/tide-1")

    assert reply.status == 200, reply.body
    assert reply.json()["choices"][0]["message"]["content"] == "Ahoy"
    assert provider.requests[-1].path == "/v1/chat/completions"
    assert provider.requests[-1].json()["model"] == "tide-1"


def test_its_row_is_one_of_the_catalogs(example: dict[str, str]) -> None:
    shipped = (Path(catalog.__file__).parent / "catalog.toml").read_text(encoding="utf-8")

    grown = Catalog.parse(shipped + example["toml"])
    (name,) = set(grown.rows) - set(Catalog.load().rows)
    known = build({name: ProviderSettings(api_key="secret")}, grown)[name]

    assert known.usable
    assert known.key_variable == "HARBOUR_API_KEY"
    assert isinstance(known.provider, OpenAICompatible)
    assert known.provider.origin.host == "llm.harbour.example"


async def test_its_class_is_a_provider(example: dict[str, str]) -> None:
    names: dict[str, Any] = {"OpenAICompatible": OpenAICompatible, "Outgoing": Outgoing, "override": override}
    exec(example["python"], names)  # the README's own code
    async with Provider(wants("x-harbour-key", "secret")) as server:
        harbour: Adapter = names["Harbour"]("harbour", f"{server.base_url}/v1")
        outgoing = harbour.request("openai.chat", {}, b'{"model":"tide-1"}', secret="secret", stream=False)
        upstream = Upstream(SystemClock(), Network())
        with closing(await upstream.open(outgoing, Timeouts(), stream=False)) as answer:
            assert answer.status == 200, await answer.read()
        await upstream.close()


def test_clouds_are_files_of_a_page_or_two() -> None:
    for name in ("azure", "bedrock", "vertex"):
        text = (Path(catalog.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        assert text.count("\n") < _MOST_LINES, name
