from __future__ import annotations

from gateway.processes.litellm_variables import QUIET, secrets, variables
from gateway.settings import Network, ProviderSettings, Server, Settings


def test_keys_come_from_the_environment_and_the_settings_win() -> None:
    settings = Settings(providers={"litellm": ProviderSettings(env={"COHERE_API_KEY": "ours"})})
    found = variables(
        {"COHERE_API_KEY": "theirs", "GROQ_API_KEY": "g", "LITELLM_MODE": "DEV"}, settings, 4000
    )

    assert found == {"COHERE_API_KEY": "ours", "GROQ_API_KEY": "g", **QUIET}


def test_addresses_of_the_gateway_itself_are_left_out() -> None:
    environ = {
        "OPENAI_BASE_URL": "http://localhost:4000/v1",
        "OPENAI_API_BASE": "http://127.0.0.1:4000",
        "ANTHROPIC_BASE_URL": "http://box.lan:4000",
        "OLLAMA_API_BASE": "http://localhost:11434",
        "OTHER": "http://box.lan:4001/v1",
        "ODD": "http://[::1/v1",
    }
    found = variables(environ, Settings(server=Server(host="box.lan")), 4000)

    assert found.keys() - QUIET.keys() == {"OLLAMA_API_BASE", "OTHER", "ODD"}


def test_the_way_out_is_that_of_the_settings() -> None:
    settings = Settings(network=Network(https_proxy="http://proxy:3128", ca_file="/ca.pem"))
    found = variables({"HTTPS_PROXY": "http://other", "HTTP_PROXY": "http://plain"}, settings, 4000)

    assert found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["HTTP_PROXY"] == "http://plain"
    assert found["SSL_CERT_FILE"] == "/ca.pem"


def test_secrets_are_known_by_the_names_of_their_variables_the_longest_first() -> None:
    environ = {
        "X_API_KEY": "12345678",
        "AWS_SECRET_ACCESS_KEY": "123456789",
        "A_KEY": "short",
        "HOME": "/home/x/y",
    }

    assert secrets(environ) == ["123456789", "12345678"]
