from __future__ import annotations

from gateway.processes.hub import listing_sources
from gateway.providers.catalog import Catalog, build
from gateway.settings import ProviderSettings
from tests.fakes.clouds import GoogleAccount


def test_clouds_are_not_asked_what_they_serve_and_nobody_without_a_key_is():
    account = GoogleAccount().file("https://oauth2.example/token")
    said = {
        "openai": ProviderSettings(api_key="k"),
        "azure": ProviderSettings(api_key="k", base_url="https://x.openai.azure.com"),
        "bedrock": ProviderSettings(api_key="a:b"),
        "vertex": ProviderSettings(api_key=account, project="p"),
    }

    sources = listing_sources(build(said, Catalog.load()))

    assert [source.name for source in sources] == ["openai"]
