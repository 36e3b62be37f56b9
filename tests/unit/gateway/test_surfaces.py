from __future__ import annotations

import pytest

from gateway import surfaces


@pytest.mark.parametrize("prefix", ["", "/v1", "/api"])
def test_a_base_url_works_with_and_without_its_usual_prefix(prefix):
    chat, embeddings = surfaces.find(f"{prefix}/chat/completions"), surfaces.find(f"{prefix}/embeddings")

    assert chat is not None
    assert chat.wire.surface == "openai.chat"
    assert embeddings is not None
    assert embeddings.wire.surface == "openai.embeddings"


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/chat/completions", "/v1/chat/completions/", "/api/calls"])
def test_other_paths_are_no_surface(path):
    assert surfaces.find(path) is None


@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1", "/anthropic", "/anthropic/v1", "/api/anthropic/v1"])
def test_anthropics_clients_find_it_whatever_their_base_url(prefix):
    messages = surfaces.find(f"{prefix}/messages")
    count = surfaces.find(f"{prefix}/messages/count_tokens")

    assert messages is not None
    assert messages.wire.surface == "anthropic.messages"
    assert count is not None
    assert count.wire.surface == "anthropic.count_tokens"


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("/v1/v1/chat/completions", "/v1"),
        ("/v1/v1/v1/embeddings", "/v1/v1"),
        ("/v1/api/chat/completions", "/v1"),
        ("/api/v1/responses/resp_1", "/api"),
        ("/openai/deployments/gpt/chat/completions", "/openai/deployments/gpt"),
        ("/v1/v1beta/models/gemini-2.5-flash:generateContent", "/v1"),
        ("/api/nothing", ""),
        ("/v1/chat/completions/", ""),
        ("/1/2/3/4/5/v1/chat/completions", ""),
        ("", ""),
    ],
)
def test_what_a_base_url_has_too_much_is_found(path, before):
    assert surfaces.too_much("GET", path) == before


def test_who_names_a_version_is_answered_as_anthropic_would():
    assert surfaces.default({b"anthropic-version": b"2023-06-01"}).surface == "anthropic.messages"
    assert surfaces.default({}) is surfaces.DEFAULT


@pytest.mark.parametrize("prefix", ["", "/v1", "/api"])
def test_responses_and_legacy_completions_have_their_paths(prefix):
    responses, completions = surfaces.find(f"{prefix}/responses"), surfaces.find(f"{prefix}/completions")

    assert responses is not None
    assert responses.wire.surface == "openai.responses"
    assert completions is not None
    assert completions.wire.surface == "openai.completions"


@pytest.mark.parametrize("prefix", ["", "/v1", "/api"])
@pytest.mark.parametrize(
    ("method", "below", "operation"),
    [
        ("GET", "", "responses.retrieve"),
        ("DELETE", "", "responses.delete"),
        ("POST", "/cancel", "responses.cancel"),
        ("GET", "/input_items", "responses.input_items"),
    ],
)
def test_a_kept_response_is_named_by_its_path(prefix, method, below, operation):
    found = surfaces.find_kept(method, f"{prefix}/responses/resp_a-1{below}")

    assert found is not None
    assert (found.wire.operation, found.model, found.method) == (operation, "resp_a-1", method)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/input_tokens"),
        ("GET", "/v1/responses/"),
        ("GET", "/v1/responses/a/b"),
        ("GET", "/v1/responses/a\r\nb"),
        ("GET", "/v1/responses/../files"),
        ("GET", "/v1/responses/resp_1/cancel"),
        ("DELETE", "/v2/responses/resp_1"),
    ],
)
def test_other_paths_name_no_kept_response(method, path):
    assert surfaces.find_kept(method, path) is None


@pytest.mark.parametrize("home", ["", "/gemini", "/api/google/gemini"])
@pytest.mark.parametrize("version", ["/v1", "/v1beta", "/v1alpha", ""])
@pytest.mark.parametrize(
    ("method", "surface"),
    [
        ("generateContent", "gemini.generate"),
        ("streamGenerateContent", "gemini.generate"),
        ("embedContent", "gemini.embed"),
        ("batchEmbedContents", "gemini.batch_embed"),
        ("countTokens", "gemini.count"),
    ],
)
def test_geminis_paths_name_model_and_method(home, version, method, surface):
    found = surfaces.find(f"{home}{version}/models/gemini/gemini-2.5-flash:{method}")

    assert found is not None
    assert (found.wire.surface, found.model, found.method) == (surface, "gemini/gemini-2.5-flash", "POST")


def test_a_tuned_model_and_one_with_a_colon_are_models():
    tuned = surfaces.find("/v1beta/tunedModels/mine:generateContent")
    colon = surfaces.find("/v1beta/models/ollama/gemma3:1b:generateContent")

    assert tuned is not None
    assert tuned.model == "tunedModels/mine"
    assert colon is not None
    assert colon.model == "ollama/gemma3:1b"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        (b"alt=sse", "text/event-stream"),
        (b"key=k&alt=sse", "text/event-stream"),
        (b"%24alt=sse;enum-encoding=int", "text/event-stream"),
        (b"", "application/json"),
        (b"alt=json", "application/json"),
        (b"salt=sse", "application/json"),
    ],
)
def test_the_query_decides_what_a_stream_of_gemini_is(query, kind):
    found = surfaces.find("/v1beta/models/m:streamGenerateContent", query)

    assert found is not None
    assert found.wire.stream_type == kind


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/m:predict",
        "/v1beta/models/m",
        "/v1beta/models/:generateContent",
        "/v1beta/files/m:generateContent",
        "/v1beta/models/m:streamGenerateContent?alt=sse",
    ],
)
def test_other_paths_of_gemini_are_no_surface(path):
    assert surfaces.find(path) is None


def test_a_key_counts_only_in_the_query_of_geminis_paths():
    assert surfaces.key_in("/v1beta/models", b"pageSize=1&key=a%2Fb") == b"a/b"
    assert surfaces.key_in("/v1/models/m:generateContent", b"key=k") == b"k"
    assert surfaces.key_in("/v1beta/models/m:generateContent", b"monkey=k") == b""
    assert surfaces.key_in("/api/calls", b"key=k") == b""


def test_geminis_clients_are_answered_in_its_format():
    assert surfaces.default({}, "/v1beta/nowhere").surface == "gemini.generate"
    assert surfaces.default({b"x-goog-api-key": b"k"}, "/v1/models").surface == "gemini.generate"
    assert surfaces.default({}, "/v1/models") is surfaces.DEFAULT


def test_what_has_no_format_of_its_own_is_passed_on_to_a_family():
    files = surfaces.find_passed("DELETE", b"/v1/files/a%2Fb", {b"anthropic-version": b"2023-06-01"})
    model = surfaces.find_passed("POST", b"/v1beta/models/a%3Ab:predict", {})

    assert files is not None
    assert files.place is not None
    assert (files.wire.surface, files.method, files.place.path) == (
        "anthropic.passthrough",
        "DELETE",
        "/files/a%2Fb",
    )
    assert model is not None
    assert (model.wire.operation, model.model) == ("models.predict", "a:b")
    assert surfaces.find_passed("GET", b"/events", {}) is None
    google = surfaces.find_passed("GET", b"/v1/files", {b"x-goog-api-key": b"k"})
    assert google is not None
    assert google.wire.surface == "gemini.passthrough"


LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


def test_websockets_of_providers_are_known_by_their_paths():
    talk = surfaces.find_socket(b"/v1/realtime", b"a=b&model=gpt%2Frealtime")
    live = surfaces.find_socket(f"/gemini{LIVE}".encode())

    assert talk is not None
    assert (talk.wire.surface, talk.wire.operation, talk.model) == (
        "openai.passthrough",
        "realtime",
        "gpt/realtime",
    )
    assert live is not None
    assert live.place is not None
    assert (live.wire.surface, live.place.root, live.place.reads) == ("gemini.passthrough", "ws", False)
    assert surfaces.key_in(LIVE, b"key=k") == b"k"
    assert surfaces.default({}, LIVE).surface == "gemini.generate"


@pytest.mark.parametrize(
    "target", [b"/v1/responses", b"/calls", b"/v1/realtime/x", b"/ws/google.x", b"/\xff"]
)
def test_other_websockets_are_not(target):
    assert not surfaces.is_socket(target)
    assert surfaces.is_socket(b"/v1/v1/realtime?model=x")


def test_a_key_counts_in_the_query_of_an_upload():
    assert surfaces.key_in("/upload/v1beta/files", b"uploadType=media&key=k") == b"k"
