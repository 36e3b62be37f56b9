from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway import config
from gateway.budgets.records import configured
from gateway.config import ConfigError
from gateway.places import Places
from gateway.principal import SCOPES
from gateway.settings import Key, ProviderSettings, Server, Settings

CATALOG = {"openai": "OPENAI_API_KEY", "groq": "GROQ_API_KEY", "ollama": ""}
HASH = "ab" * 32


@pytest.fixture
def load(tmp_path):
    def do(text: str = "", environ: dict[str, str] | None = None, **overrides: object) -> Settings:
        file = tmp_path / "t.yaml"
        file.write_text(text, encoding="utf-8")
        options = {name.replace("__", "."): value for name, value in overrides.items()}
        return config.load(file, environ or {}, overrides=options, key_variables=CATALOG)

    return do


@pytest.fixture
def faults(load):
    def do(
        text: str = "", environ: dict[str, str] | None = None, **overrides: object
    ) -> list[tuple[int, str]]:
        with pytest.raises(ConfigError) as caught:
            load(text, environ, **overrides)
        return [(problem.line, problem.path) for problem in caught.value.problems]

    return do


def test_without_a_file_the_defaults_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert config.load(None, {}) == Settings()


def test_a_file_here_is_found_and_a_named_one_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tidegate.yaml").write_text("server: {port: 1111}")
    Path("other.yaml").write_text("server: {port: 2222}")
    Path("third.yaml").write_text("server: {port: 3333}")

    assert config.load(None, {}).server.port == 1111
    assert config.load(None, {"TIDEGATE_CONFIG": "other.yaml"}).server.port == 2222
    assert config.load(Path("third.yaml"), {"TIDEGATE_CONFIG": "other.yaml"}).server.port == 3333


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "absent.yaml", {})
    with pytest.raises(ConfigError, match="directory"):
        config.load(tmp_path, {})
    (tmp_path / "latin").write_bytes(b"data_dir: \xe9t\xe9")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load(tmp_path / "latin", {})


def test_later_sources_win(load):
    text = "server: {port: 1}"

    assert load(text).server.port == 1
    assert load(text, {"TIDEGATE_PORT": "2"}).server.port == 2
    assert load(text, {"TIDEGATE_PORT": "2"}, server__port=3).server.port == 3
    assert load(text, {"TIDEGATE_PORT": ""}, server__port=None).server.port == 1


def test_every_variable_sets_its_setting(load):
    environ = {
        "TIDEGATE_DATA_DIR": "/d",
        "TIDEGATE_HOST": "::1",
        "TIDEGATE_PORT": "5",
        "TIDEGATE_WORKERS": "6",
        "TIDEGATE_CLICKHOUSE_URL": "http://c:8123/d",
        "TIDEGATE_CONTROL_URL": "postgresql://u:p@c/d",
        "TIDEGATE_MEMORY_LEDGER_URL": "postgresql://u:p@m/d",
        "TIDEGATE_QDRANT_URL": "http://q:6333",
        "TIDEGATE_REDIS_URL": "redis://r/2",
        "TIDEGATE_OPENAI_BASE_URL": "http://o/v1",
    }
    settings = load("", environ)

    assert set(environ) == set(config.VARIABLES)
    assert (settings.data_dir, settings.server) == ("/d", Server(host="::1", port=5, workers=6))
    assert settings.clickhouse.url == "http://c:8123/d"
    assert settings.memory.ledger_url == "postgresql://u:p@m/d"
    assert settings.memory.qdrant_url == "http://q:6333"
    assert settings.redis.url == "redis://r/2"
    assert settings.providers["openai"].base_url == "http://o/v1"


def test_openai_base_url_is_the_users_and_left_alone(load):
    assert load("", {"OPENAI_BASE_URL": "http://localhost:4000/v1"}).providers == {}


def test_proxies_come_from_the_environment_in_either_case_unless_the_file_has_them(load):
    environ = {
        "HTTPS_PROXY": "http://up:1",
        "http_proxy": "http://low:2",
        "NO_PROXY": "a,b",
        "SSL_CERT_FILE": "/ca",
    }
    network = load("", environ).network

    assert (network.https_proxy, network.http_proxy) == ("http://up:1", "http://low:2")
    assert (network.no_proxy, network.ca_file) == ("a,b", "/ca")
    assert load("network: {https_proxy: http://file:3}", environ).network.https_proxy == "http://file:3"
    assert load("network:\n  https_proxy: ''\n", environ).network.https_proxy == "http://up:1"


def test_provider_keys_come_from_the_file_or_the_catalogs_variable(load):
    assert load("", {"OPENAI_API_KEY": " sk-1\n"}).providers["openai"].api_key == "sk-1"
    assert load("", {"OPENAI_API_KEY": ""}).providers == {}
    named = load("providers: {openai: {api_key_env: MINE}}", {"OPENAI_API_KEY": "sk-1", "MINE": "sk-2"})
    assert named.providers["openai"].api_key == "sk-2"
    written = load("providers: {openai: {api_key: sk-3}}", {"OPENAI_API_KEY": "sk-1"})
    assert written.providers["openai"].api_key == "sk-3"
    unset = load("providers: {openai: {api_key_env: MINE}}", {"OPENAI_API_KEY": "sk-1"})
    assert unset.providers["openai"].api_key == ""


def test_a_key_with_a_line_break_is_refused_without_being_shown(load):
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        load("", {"OPENAI_API_KEY": "sk-secret\nX: y"})
    assert "sk-secret" not in str(caught.value)


def test_a_key_of_the_file_with_a_line_break_is_refused(faults):
    assert faults('providers: {openai: {api_key: "a\\nb"}}') == [(1, "providers.openai.api_key")]


def test_hashes_are_kept_in_lower_case(load):
    text = f"keys: [{{name: a, hash: {HASH.upper()}}}]"

    assert load(text).keys == (Key(name="a", hash=HASH),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n  port: 65536\n  workers: 0", [(2, "server.port"), (3, "server.workers")]),
        ("server:\n  drain_s: 0\n  max_body_mb: -1", [(2, "server.drain_s"), (3, "server.max_body_mb")]),
        ("data_dir: ' '", [(1, "data_dir")]),
        (
            "cors:\n  origins: ['*', https://a, https://a/b, a]",
            [(2, "cors.origins[2]"), (2, "cors.origins[3]")],
        ),
        ("keys:\n- {name: a, hash: 12ab}", [(2, "keys[0].hash")]),
        ("keys:\n- {name: a, hash: tg-abc}", [(2, "keys[0].hash")]),
        (f"keys:\n- {{name: '', hash: {HASH}}}", [(2, "keys[0].name")]),
        (
            f"keys:\n- {{name: a, hash: {HASH}}}\n- {{name: a, hash: {HASH.upper()}}}",
            [(3, "keys[1].name"), (3, "keys[1].hash")],
        ),
        ("providers:\n  openai:\n    base_url: ftp://x", [(3, "providers.openai.base_url")]),
        ("providers:\n  openai:\n    base_url: 'http://[x'", [(3, "providers.openai.base_url")]),
        ("providers:\n  openai:\n    base_url: http://h:99999", [(3, "providers.openai.base_url")]),
        ("providers:\n  openia: {}", [(2, "providers.openia")]),
        ("providers:\n  a/b: {base_url: http://x}", [(2, "providers.a/b")]),
        ("providers:\n  openai: {api_key: a, api_key_env: B}", [(2, "providers.openai.api_key_env")]),
        ("providers:\n  openai: {env: {A: b}}", [(2, "providers.openai.env")]),
        (
            "providers:\n  openai:\n    base_url: http://h\n    env: {A-B: c}",
            [(4, "providers.openai.env")] * 2,
        ),
        ("providers:\n  litellm: {api: openai, api_key: x}", [(2, "providers.litellm")]),
        ("routes:\n  r: {deployments: []}", [(2, "routes.r.deployments")]),
        ("routes:\n  r:\n    deployments:\n    - model: gpt-5", [(4, "routes.r.deployments[0].model")]),
        ("routes:\n  r:\n    deployments:\n    - model: opnai/x", [(4, "routes.r.deployments[0].model")]),
        (
            "routes:\n  r:\n    deployments: [{model: openai/x}]\n    timeouts: {idle_s: 0}",
            [(4, "routes.r.timeouts.idle_s")],
        ),
        (
            "routes:\n  r:\n    deployments: [{model: openai/x, weight: -1}]\n    fallbacks: [openai/y, z, opnai/x]",
            [
                (3, "routes.r.deployments[0].weight"),
                (4, "routes.r.fallbacks[1]"),
                (4, "routes.r.fallbacks[2]"),
            ],
        ),
        (
            "routes:\n  r:\n    deployments: [{model: openai/x}]\n    context_window_fallback: gpt-5",
            [(4, "routes.r.context_window_fallback")],
        ),
        (
            "retries:\n  attempts: 0\n  backoff_ms: [9, 1]\n  honour_retry_after_s: -1",
            [(2, "retries.attempts"), (3, "retries.backoff_ms"), (4, "retries.honour_retry_after_s")],
        ),
        (
            "breaker:\n  failure_ratio: 2\n  open_s: 0",
            [(2, "breaker.failure_ratio"), (3, "breaker.open_s")],
        ),
        ("timeouts:\n  total_s: -1\n  idle_s: .inf", [(2, "timeouts.total_s"), (3, "timeouts.idle_s")]),
        ("timeouts: {connect_s: .nan}", [(1, "timeouts.connect_s")]),
        ("journal: {keep_consumed_s: -1}", [(1, "journal.keep_consumed_s")]),
        ("journal: {segment_mb: 9, quota_mb: 8}", [(1, "journal.segment_mb")]),
        ("clickhouse: {url: 'clickhouse://h:9000'}", [(1, "clickhouse.url")]),
        ("control: {url: 'mysql://h/db'}", [(1, "control.url")]),
        ("control: {max_stale_s: 0}", [(1, "control.max_stale_s")]),
        (f"keys: [{{name: a, hash: {HASH}, scopes: []}}]", [(1, "keys[0].scopes")]),
        (f"keys: [{{name: a, hash: {HASH}, users: [ada]}}]", [(1, "keys[0].users")]),
        (f"keys: [{{name: a, hash: {HASH}, models: ['']}}]", [(1, "keys[0].models")]),
        (
            "memory:\n  deadline_ms: 0\n  budget_tokens: -1",
            [(2, "memory.deadline_ms"), (3, "memory.budget_tokens")],
        ),
        (
            "memory:\n  embedder: {model: m, dimensions: 3}",
            [(2, "memory.embedder.model"), (2, "memory.embedder.dimensions")],
        ),
        (
            "memory:\n  embedder: {model: fastembed/a/b, dimensions: 3}",
            [(2, "memory.embedder.dimensions")],
        ),
        ("memory:\n  embedder: {folder: /models}", [(2, "memory.embedder.folder")]),
        (
            "memory:\n  embedder:\n    base_url: https://u:p@h/v1",
            [
                (3, "memory.embedder.base_url"),
                (2, "memory.embedder.model"),
                (2, "memory.embedder.dimensions"),
            ],
        ),
        (
            "memory:\n  embedder: {base_url: https://h, model: m, dimensions: 8, api_key: é}",
            [(2, "memory.embedder.api_key")],
        ),
        ("network: {https_proxy: 'socks5://h:1'}", [(1, "network.https_proxy")]),
        ("budgets:\n  b: {hard_usd: 0.1234567891}", [(2, "budgets.b.hard_usd")]),
        ("budgets:\n  b: {hard_usd: -5}", [(2, "budgets.b.hard_usd")]),
        ("prices:\n  m: {input: '1', output: free}", [(2, "prices.m"), (2, "prices.m.output")]),
        ("prices:\n  a/m: {input: '-1', output: NaN}", [(2, "prices.a/m.input"), (2, "prices.a/m.output")]),
        (
            "prices:\n  a/m: {input: '1', output: '1', input_audio: much, service_tiers: {flex: {input: x, output: '1'}}}",
            [(2, "prices.a/m.input_audio"), (2, "prices.a/m.service_tiers.flex.input")],
        ),
    ],
)
def test_what_a_type_cannot_say_is_checked_with_its_line(faults, text, expected):
    assert sorted(faults(text)) == sorted(expected)


def test_amounts_are_taken_to_the_last_digit_with_or_without_quotes(load):
    said = load(
        "budgets: {a: {soft_usd: 0.100000001, hard_usd: 100}, b: {hard_usd: '100.5'}}\n"
        "prices: {a/m: {input: 0.075, output: 3}}\n"
    )

    amounts = [(budget.soft_nano_usd, budget.hard_nano_usd) for budget in configured(said.budgets)]
    assert amounts == [(100_000_001, 100 * 10**9), (None, 100_500_000_000)]
    assert said.prices["a/m"].given() == {"input": "0.075", "output": "3"}


def test_good_values_of_those_kinds_pass(load):
    load("memory: {embedder: {model: fastembed/a/b, folder: /models}}")
    load(
        "cors: {origins: ['*', 'https://a:8443']}\n"
        "clickhouse: {url: 'https://u:p@h/db'}\n"
        "memory: {default: off, embedder: {base_url: 'http://h:1/v1', model: m, dimensions: 8}}\n"
        "network: {https_proxy: 'host:3128', http_proxy: 'http://u:p@h:1'}\n"
        "prices: {a/m: {input: '0.10', output: '0', service_tiers: {flex: {input: '0', output: '0'}}}, b/*: {input: '0', output: '0'}}\n"
        "routes: {r: {deployments: [{model: sandbox/echo}, {model: ollama/m}, {model: mine/x/y}]}}\n"
        "providers: {mine: {base_url: 'http://localhost:1'}}\n"
    )


def test_mistakes_of_type_and_of_sense_are_told_together_in_the_order_of_the_file(faults):
    text = "server:\n  port: 70000\nprovidres: {}\ntimeouts:\n  idle_s: soon\n"

    assert faults(text) == [(2, "server.port"), (3, "providres"), (5, "timeouts.idle_s")]


def test_a_provider_with_a_mistake_of_its_own_is_not_also_unknown_to_routes(faults):
    text = "providers:\n  mine: 5\nroutes: {r: {deployments: [{model: mine/x}]}}"

    assert faults(text) == [(2, "providers.mine")]


def test_a_bad_variable_or_option_is_named_as_such(load, faults):
    assert faults("server: {port: 5}", {"TIDEGATE_PORT": "abc"}) == [(0, "TIDEGATE_PORT")]
    assert faults("server: {port: 5}", {"TIDEGATE_PORT": "70000"}) == [
        (0, "server.port (from TIDEGATE_PORT)")
    ]
    assert faults("", server__port=-1) == [(0, "server.port (from the command line)")]
    assert faults("", {"https_proxy": "socks5://x:1"}) == [(0, "network.https_proxy (from HTTPS_PROXY)")]


def test_a_problem_line_names_file_line_setting_and_remedy(load, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load("routes:\n  smart:\n    deployments: [{model: opnai/gpt-5}]")

    assert caught.value.texts() == [
        f"{tmp_path}/t.yaml:3: routes.smart.deployments[0].model: no provider is called `opnai`. "
        "Did you mean `openai`?"
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_a_loopback_address_needs_no_key(host):
    config.guard_public_address(Settings(server=Server(host=host)))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.2", "gateway.example.com", "127.0.0.1.example.com"]
)
def test_a_public_address_without_a_key_is_refused_with_a_remedy(host):
    with pytest.raises(ConfigError, match="tidegate key"):
        config.guard_public_address(Settings(server=Server(host=host)))
    config.guard_public_address(Settings(server=Server(host=host), keys=(Key(name="a", hash=HASH),)))


def places(folder: Path) -> Places:
    return Places(data=folder / "data", run=folder / "run")


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path):
    public = Settings(server=Server(host="0.0.0.0"))
    settings, key = config.first_key(public, places(tmp_path))

    assert key is not None
    file = tmp_path / "data/secrets/first-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.read_text() == key + "\n"
    assert [one.hash for one in settings.keys] == [config.hash_key(key)]
    assert config.first_key(public, places(tmp_path)) == (settings, None)
    assert settings.keys[0].scopes == SCOPES, "who holds it owns the installation"


def test_a_start_killed_while_writing_the_key_does_not_stop_the_next(tmp_path):
    (tmp_path / "data/secrets").mkdir(parents=True)
    (tmp_path / "data/secrets/first-key.new").write_text("tg-ha")

    _, key = config.first_key(Settings(server=Server(host="0.0.0.0")), places(tmp_path))

    assert key is not None
    assert [file.name for file in (tmp_path / "data/secrets").iterdir()] == ["first-key"]


def test_a_spoilt_key_file_is_refused(tmp_path):
    (tmp_path / "data/secrets").mkdir(parents=True)
    (tmp_path / "data/secrets/first-key").write_text("")

    with pytest.raises(ConfigError, match="first-key"):
        config.first_key(Settings(server=Server(host="0.0.0.0")), places(tmp_path))


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(server=Server(host="0.0.0.0"), keys=(Key(name="a", hash=HASH),))]
)
def test_no_key_is_made_where_none_is_needed(tmp_path, settings):
    assert config.first_key(settings, places(tmp_path)) == (settings, None)
    assert not (tmp_path / "data").exists()


def test_keys_differ_and_hash_as_documented():
    first, second = config.new_key(), config.new_key()

    assert first != second
    assert first.startswith("tg-")
    assert len(first) >= 40
    assert config.hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


CLOUDS = {
    "azure": "AZURE_OPENAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "vertex": "",
}


@pytest.fixture
def clouds(tmp_path):
    def do(text: str = "", **environ: str) -> dict[str, ProviderSettings]:
        file = tmp_path / "t.yaml"
        file.write_text(text, encoding="utf-8")
        return config.load(file, environ, key_variables=CLOUDS).providers

    return do


def test_a_cloud_is_there_when_its_own_variables_say_all(clouds):
    azure = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}

    assert clouds(**azure)["azure"].base_url == "https://x.openai.azure.com"
    assert clouds(AZURE_OPENAI_API_KEY="k") == {}
    assert clouds(AZURE_OPENAI_ENDPOINT="https://x") == {}
    assert clouds(AWS_REGION="eu-west-1") == {}


def test_bedrock_takes_an_api_key_or_a_pair_of_keys(clouds):
    pair = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "se/cret"}

    assert clouds(**pair)["bedrock"].api_key == "AK:se/cret"
    assert clouds(**pair, AWS_SESSION_TOKEN="t", AWS_DEFAULT_REGION="eu-west-1")[
        "bedrock"
    ] == ProviderSettings(api_key="AK:se/cret:t", api_key_env="AWS_ACCESS_KEY_ID", region="eu-west-1")
    assert clouds(**pair, AWS_BEARER_TOKEN_BEDROCK="b")["bedrock"].api_key == "b"
    assert clouds(AWS_ACCESS_KEY_ID="AK") == {}


def test_the_file_wins_over_a_clouds_variables(clouds):
    text = "providers: {eu: {api: bedrock, region: eu-west-1}, bedrock: {api_key: 'x:y'}}"

    found = clouds(text, AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="s", AWS_REGION="us-west-2")

    assert (found["eu"].region, found["eu"].api_key) == ("eu-west-1", "AK:s")
    assert (found["bedrock"].region, found["bedrock"].api_key) == ("us-west-2", "x:y")


def test_an_accounts_file_is_read_and_its_project_meant(clouds, tmp_path):
    file = tmp_path / "account.json"
    file.write_text('{\n "type": "service_account",\n "project_id": "harbour"\n}')

    found = clouds(GOOGLE_APPLICATION_CREDENTIALS=str(file))["vertex"]

    assert found.api_key == '{"type":"service_account","project_id":"harbour"}'
    assert found.project == "harbour"
    other = clouds(f"providers: {{vertex: {{project: sea, credentials_file: {file}}}}}")["vertex"]
    assert (other.project, other.api_key) == ("sea", found.api_key)
    file.write_text('{"type":"authorized_user"}')
    assert clouds(GOOGLE_APPLICATION_CREDENTIALS=str(file)) == {}


@pytest.mark.parametrize("content", [None, "[]", "no", b"\xff"])
def test_an_accounts_file_that_is_none_matters_only_if_the_settings_name_it(clouds, tmp_path, content):
    file = tmp_path / "account.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    assert clouds(GOOGLE_APPLICATION_CREDENTIALS=str(file)) == {}
    with pytest.raises(ConfigError, match=r"providers\.vertex\.credentials_file"):
        clouds(f"providers: {{vertex: {{project: p, credentials_file: {file}}}}}")


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("x: {base_url: 'http://x', region: eu-west-1}", "providers.x.region"),
        ("x: {api: bedrock, region: 'eu west'}", "providers.x.region"),
        ("x: {api: bedrock, project: p}", "providers.x.project"),
        ("x: {api: azure, base_url: 'http://x', api_version: latest}", "providers.x.api_version"),
        ("x: {api: vertex, project: p, api_key: k, credentials_file: f}", "providers.x.credentials_file"),
        ("x: {api: azure}", "providers.x"),
    ],
)
def test_settings_of_clouds_are_checked(tmp_path, said, place):
    with pytest.raises(ConfigError) as caught:
        config.load(_file(tmp_path, f"providers: {{{said}}}"), {}, key_variables=CLOUDS)

    assert [problem.path for problem in caught.value.problems] == [place]


def _file(folder: Path, text: str) -> Path:
    file = folder / "clouds.yaml"
    file.write_text(text, encoding="utf-8")
    return file
