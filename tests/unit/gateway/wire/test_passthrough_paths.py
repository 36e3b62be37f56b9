from __future__ import annotations

from posixpath import normpath
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.passthrough_paths import Place, check, find


def found(path: str, method: str = "GET", *, anthropic: bool = False, gemini: bool = False) -> Any:
    return find(method, path, anthropic=anthropic, gemini=gemini)


@pytest.mark.parametrize(
    ("path", "family", "rest"),
    [
        ("/v1/files", "openai", "/files"),
        ("/files/file-1", "openai", "/files/file-1"),
        ("/v1/nothing/known?", "openai", "/nothing/known?"),
        ("/v1/messages/batches", "anthropic", "/messages/batches"),
        ("/messages/batches/b/results", "anthropic", "/messages/batches/b/results"),
        ("/anthropic/v1/files", "anthropic", "/files"),
        ("/anthropic/files", "anthropic", "/files"),
        ("/api/anthropic/v1/files", "anthropic", "/files"),
        ("/v1beta/cachedContents", "gemini", "/cachedContents"),
        ("/v1alpha/auth_tokens", "gemini", "/auth_tokens"),
        ("/gemini/v1beta/files/a", "gemini", "/files/a"),
        ("/api/google/gemini/v1/files/a", "gemini", "/files/a"),
    ],
)
def test_a_path_belongs_to_a_familys_api(path, family, rest):
    place = found(path)

    assert place is not None
    assert (place.family, place.path, place.root) == (family, rest, "")


def test_headers_decide_where_paths_do_not():
    assert found("/v1/files", anthropic=True).family == "anthropic"
    assert found("/v1/v1/files", anthropic=True).path == "/files"
    assert found("/v1/files", gemini=True).family == "gemini"


@pytest.mark.parametrize("home", ["", "/gemini", "/api/google/gemini"])
@pytest.mark.parametrize("root", ["upload", "download"])
def test_geminis_files_stand_before_the_version(home, root):
    place = found(f"{home}/{root}/v1beta/files", "POST")

    assert (place.family, place.root, place.path, place.operation) == ("gemini", root, "/files", "files")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/", "/events", "/api/calls", "/docs", "/health/live", "/metrics", "/anthropic",
        "/v2/files", "/upload/files", "/nothing", "//v1/files", "/%76%31/files", "/files2",
    ],
)  # fmt: skip
def test_other_paths_are_nobodys(path):
    assert found(path, "POST") is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("HEAD", "/v1/models/openai/gpt-5"),
        ("GET", "/v1beta/models/gemini-2.5-flash"),
        ("GET", "/v1/embeddings"),
        ("PUT", "/v1/messages"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/Chat/completion%73;x"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1beta/models/m:generatecontent/"),
        ("GET", "/v1beta/models/m:generateContent"),
        ("GET", "/v1beta/models/m:streamGenerateContent"),
        ("OPTIONS", "/v1/files"),
        ("TRACE", "/v1/files"),
        ("GET", "/v1/responses/resp_1/input_items/"),
        ("GET", "/v1/Responses/resp_1"),
        ("GET", "/v1/%52esponses/resp_1/"),
        ("POST", "/v1/responses/resp_1/anything"),
    ],
)
def test_what_has_a_format_or_a_table_of_its_own_is_not_passed_on(method, path):
    assert found(path, method) is None


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/images/generations", "images.generations"),
        ("POST", "/v1/images/new-thing", "images"),
        ("POST", "/v1/audio/speech", "audio.speech"),
        ("GET", "/v1/files/file-1", "files"),
        ("GET", "/v1/files/file-1/content", "files.content"),
        ("GET", "/v1beta/files/a:download", "files.content"),
        ("GET", "/v1/videos/v/content", "videos.content"),
        ("POST", "/v1/fine_tuning/jobs/j/cancel", "fine_tuning.jobs"),
        ("POST", "/v1/responses/compact", "responses.compact"),
        ("GET", "/v1/chat/completions", "chat.completions"),
        ("DELETE", "/v1/chat/completions/c", "chat.completions"),
        ("DELETE", "/v1/models/ft:a", "models"),
        ("POST", "/v1/messages/batches/b/cancel", "messages.batches"),
        ("POST", "/v1beta/models/veo-3:predictLongRunning", "models.predictLongRunning"),
        ("POST", "/v1beta/models/m:brandNew", "models"),
        ("GET", "/v1beta/models/m/operations/o", "models"),
        ("POST", "/v1/whatever/comes", "other"),
    ],
)
def test_operations_are_few(method, path, operation):
    assert found(path, method).operation == operation


@pytest.mark.parametrize(
    "path",
    [
        "/../x", "/files/..", "/.", "/files/%2e%2E/x", "/files/..%2fx", "/a//b", "//a", "/a/%2F/b", "/%252e%252e/x",
        "/a/..;v=1/b", "/a\\..\\b", "/a%5c..%5cb", "/a%00", "/a%0d%0ab", "/a%3fb", "/a%23b", "/%ff", "/ .. /x",
        "/%25252525252e",
    ],
)  # fmt: skip
def test_a_path_that_might_be_read_as_another_is_refused(path):
    with pytest.raises(BadRequest) as caught:
        check(path)
    assert caught.value.code == "invalid_path"


@pytest.mark.parametrize(
    "path",
    ["/files", "/files/", "/files/a%2Fb", "/models/ft:a..b", "/a/...", "/models/%C3%A9", "/files/a%20b"],
)
def test_ordinary_ids_pass(path):
    check(path)


@given(st.text(alphabet="/.%2eEfF5cC;\\ab?#\x00é", max_size=20))
def test_a_path_that_passes_never_leaves_however_it_is_decoded(path):
    try:
        check(f"/{path}")
    except BadRequest:
        return
    plain = f"/{path}"
    for _ in range(6):
        assert normpath(plain) == (plain.rstrip("/") or "/")
        plain = unquote(plain)


def test_a_model_in_the_path_can_be_renamed():
    place = found("/v1beta/models/gemini/imagen-4:predict", "POST")

    assert place.model == "gemini/imagen-4"
    assert place.with_model("imagen-4") == "/models/imagen-4:predict"
    assert place.with_model("") == place.with_model("gemini/imagen-4") == place.path
    assert found("/v1/files").with_model("gpt-5") == "/files"
    assert found("/v1beta/models/a%3Ab:predict", "POST").with_model("a:b") == "/models/a%3Ab:predict"


@pytest.mark.parametrize(
    ("operation", "content_type", "keeps"),
    [
        ("files", "application/json; charset=utf-8", True),
        ("audio.transcriptions", "text/plain", True),
        ("images.generations", "text/event-stream", True),
        ("other", "application/problem+json", True),
        ("other", "application/x-ndjson", True),
        ("audio.speech", "audio/mpeg", False),
        ("other", "application/octet-stream", False),
        ("other", "", False),
        ("files.content", "application/json", False),
    ],
)
def test_text_is_kept_and_files_are_not(operation, content_type, keeps):
    place = Place(family="openai", method="GET", path="/x", operation=operation)

    assert place.keeps(content_type) is keeps


@pytest.mark.parametrize(
    ("method", "path", "repeatable"),
    [
        ("POST", "/v1/images/generations", True),
        ("POST", "/v1/moderations", True),
        ("GET", "/v1/files/f-1", True),
        ("POST", "/v1/batches", False),
        ("POST", "/v1/fine_tuning/jobs", False),
        ("DELETE", "/v1/files/f-1", False),
    ],
)
def test_what_a_second_try_might_make_twice_is_tried_once(
    method: str, path: str, *, repeatable: bool
) -> None:
    place = find(method, path, anthropic=False, gemini=False)

    assert place is not None
    assert place.repeatable == repeatable
