from __future__ import annotations

from gateway.providers.base import Origin
from gateway.providers.catalog import Catalog, build
from gateway.providers.litellm import LiteLLM
from gateway.providers.openai import OpenAICompatible
from gateway.settings import ProviderSettings

provider = LiteLLM("litellm", "/run/litellm.sock")


def test_nothing_of_the_clients_headers_reaches_it() -> None:
    outgoing = provider.request("openai.chat", {b"authorization": b"Bearer x"}, b"{}", secret="", stream=True)

    assert (outgoing.origin, outgoing.path) == (Origin("unix", "/run/litellm.sock", 0), "/chat/completions")
    assert {name for name, _ in outgoing.headers} == {b"content-type", b"accept-encoding"}


def test_its_refusals_are_read_as_openais() -> None:
    error = provider.failure(429, [(b"retry-after", b"7")], b'{"error":{"message":"slow","code":null}}')

    assert (str(error), error.status, error.retryable, error.retry_after_s) == ("slow", 429, True, 7)


def test_it_is_there_without_settings_and_needs_no_key() -> None:
    known = build({}, Catalog.load(), litellm="/run/litellm.sock")["litellm"]

    assert isinstance(known.provider, LiteLLM)
    assert (known.keyless, known.usable) == (True, False)


def test_a_proxy_of_this_name_elsewhere_is_a_server_as_any_other() -> None:
    said = ProviderSettings(base_url="http://proxy:4000/v1", api_key="sk-1")
    known = build({"litellm": said}, Catalog.load())["litellm"]

    assert isinstance(known.provider, OpenAICompatible)
    assert known.provider.origin.host == "proxy"
