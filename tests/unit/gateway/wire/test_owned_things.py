from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnknownResponse
from gateway.wire.owned_things import (
    Target,
    googles_ids_in,
    ids_in,
    listed,
    made_in,
    may_name,
    runs_code,
    target_of,
)
from gateway.wire.passthrough_paths import find, find_socket


def target(path: str, method: str = "GET", *, anthropic: bool = False) -> Target | None:
    place = find(method, path, anthropic=anthropic, gemini=False)
    assert place is not None
    return target_of(place)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/files", Target("make", "files")),
        ("GET", "/v1/files", Target("list", "files")),
        ("GET", "/v1/files/", Target("list", "files")),
        ("GET", "/v1/files/file-1", Target("use", "files", "file-1")),
        ("GET", "/v1/files/file%2D1/content", Target("use", "files", "file-1", below="/content")),
        ("DELETE", "/v1/files/file-1", Target("delete", "files", "file-1")),
        (
            "DELETE",
            "/v1/vector_stores/vs_1/files/f",
            Target("use", "vector_stores", "vs_1", below="/files/f"),
        ),
        ("POST", "/v1/fine_tuning/jobs", Target("make", "fine_tuning/jobs")),
        ("POST", "/v1/batches/batch_1/cancel", Target("use", "batches", "batch_1", below="/cancel")),
        ("POST", "/v1/threads/runs", Target("make", "threads")),
        ("GET", "/v1/messages/batches/b/results", Target("use", "messages/batches", "b", below="/results")),
        ("GET", "/v1beta/files/abc", Target("use", "files", "files/abc", beside=True)),
        ("GET", "/v1beta/cachedContents/abc", Target("use", "cachedContents", "cachedContents/abc")),
        (
            "GET",
            "/v1beta/files/a:download",
            Target("use", "files", "files/a", beside=True, below=":download"),
        ),
        (
            "GET",
            "/download/v1beta/files/a:download",
            Target("use", "files", "files/a", beside=True, below=":download"),
        ),
        ("POST", "/v1beta/models/m:batchGenerateContent", Target("make", "batches")),
        ("GET", "/v1/containers", Target("list", "containers")),
        (
            "GET",
            "/v1/containers/cntr_1/files/f/content",
            Target("use", "containers", "cntr_1", below="/files/f/content"),
        ),
        ("POST", "/v1/skills", Target("make", "skills")),
        ("GET", "/v1/audio/voices/voice_1", Target("use", "audio/voices", "voice_1")),
        ("GET", "/v1/organization/projects", Target("govern", "organization")),
        ("POST", "/v1/Organizatio%6E/invites", Target("govern", "organization")),
        ("GET", "/v1/fine_tuning/checkpoints/ft:x/permissions", Target("govern", "fine_tuning")),
        ("DELETE", "/v1/models/ft:gpt-4o:acme", Target("govern", "models")),
        ("POST", "/v1/realtime/calls/rtc_1/hangup", Target("govern", "realtime")),
        ("POST", "/v1/realtime/calls", None),
        ("POST", "/v1/images/generations", None),
        ("POST", "/v1beta/models/m:predict", None),
    ],
)
def test_a_path_says_what_it_is_about(method: str, path: str, expected: Target | None) -> None:
    assert target(path, method) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v1/file%73/file-B/content", "/v1/vector%5Fstores/vs_B/search", "/v1beta/cached%43ontents/x",
        "/v1/file%2573/file-B", "/v1/files%2Ffile-B", "/v1/Files/file-B", "/v1/files;v=1/file-B",
        "/v1beta/files/a%3Adownload", "/v1beta/files/%2561", "/v1beta/files/a;v=1",
    ],
)  # fmt: skip
def test_a_path_that_might_be_read_as_that_of_a_thing_is_refused(path: str) -> None:
    with pytest.raises(UnknownResponse):
        target(path)


def test_a_websocket_is_about_nothing_that_is_kept():
    place = find_socket("/v1/realtime")
    assert place is not None
    assert target_of(place) is None


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        ({"id": "file-1", "object": "file"}, ["file-1"]),
        ({"name": "cachedContents/a"}, ["cachedContents/a"]),
        ({"file": {"name": "files/a"}}, ["files/a"]),
        ({"id": "batch_1", "output_file_id": "o", "error_file_id": None}, ["batch_1", "o"]),
        ({"id": "ftjob-1", "result_files": ["r1", 7, "r2"]}, ["ftjob-1", "r1", "r2"]),
        ({"id": "run_1", "thread_id": "thread_1"}, ["run_1", "thread_1"]),
        (
            {"name": "batches/a", "done": True, "response": {"responsesFile": "files/batch-a"}},
            ["batches/a", "files/batch-a"],
        ),
        ({"id": "x", "response": "done"}, ["x"]),
        ({"id": 7}, []),
        ([], []),
    ],
)
def test_an_answer_says_what_was_made(said: Any, ids: list[str]) -> None:
    assert made_in(msgspec.json.encode(said)) == ids


def test_a_list_is_taken_apart_without_a_change_to_its_things():
    answer = b'{"object":"list", "data": [ {"id": "a",  "x": 1.50} ,{"id":"b"}], "has_more":false}'
    members, name, things = listed(answer, "files")

    assert (name, [(one, bytes(raw)) for one, raw in things]) == (
        "data",
        [("a", b'{"id": "a",  "x": 1.50}'), ("b", b'{"id":"b"}')],
    )
    assert list(members) == ["object", "data", "has_more"]
    assert listed(b'{"files":[{"name":"files/a"}]}', "files")[2][0][0] == "files/a"


def test_ids_in_a_body_are_found_once_each():
    body = b'{"input_file_id":"file-abc","tools":[{"ids":["vs_1","file-abc"]}],"note":"a file-x here","f":"profile-1"}'

    assert ids_in(body) == ["file-abc", "vs_1"]
    assert ids_in(b'{"file_id": 1, "vector_store_ids" : 2}') == []


@pytest.mark.parametrize(
    "body",
    [
        rb'{"input_file_id":"file\u002dB"}',
        rb'{"input_file_id":"\u0066\u0069le-\u0042"}',
        rb'{"input_file_id":"\u0066ile-B","input_file_id":"x"}',
    ],
)
def test_an_id_is_found_however_json_writes_it(body: bytes) -> None:
    assert ids_in(body) == ["file-B"]


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("https://generativelanguage.googleapis.com/v1beta/files/abc-1", ["files/abc-1"]),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc-1:download?alt=media", ["files/abc-1"]),
        ("files/%61bc", ["files/abc"]),
        ("cachedContents/x1", ["cachedContents/x1"]),
        ("fileSearchStores/docs-1/documents/a", ["fileSearchStores/docs-1"]),
        ("gs://bucket/profiles/abc", []),
        ("look into files/abc and say", []),
    ],
)
@given(data=st.data())
def test_geminis_ids_are_found_in_addresses_however_json_writes_them(
    value: str, ids: list[str], data: st.DataObject
) -> None:
    def written(char: str) -> str:
        ways = [char, f"\\u{ord(char):04x}", f"\\u{ord(char):04X}"] + (["\\/"] if char == "/" else [])
        return data.draw(st.sampled_from(ways))

    body = f'{{"fileUri":"{"".join(map(written, value))}"}}'.encode()
    assert googles_ids_in(body) == ids
    assert may_name(body) or not ids


@given(st.text(alphabet="abzABZ019-_", min_size=1), st.data())
def test_every_letter_of_an_id_may_be_escaped(rest: str, data: st.DataObject) -> None:
    name = f"vs_{rest}"
    written = "".join(f"\\u{ord(char):04x}" if data.draw(st.booleans()) else char for char in name)

    assert ids_in(f'["{written}"]'.encode()) == [name]


@pytest.mark.parametrize(
    ("said", "may"),
    [
        (rb'{"file_id":"file-1"}', True),
        (rb'{"vector_store_ids":["vs_1"]}', True),
        (rb'{"conversation":"conv_1"}', True),
        (rb'{"container":"cntr_1"}', True),
        (rb'{"file\u005fid":"file-1"}', True),
        (rb'{"file_id":"\u0066ile-1"}', True),
        (rb'{"tools":[{"type":"shell","skills":[{"skill_id":"skill_1"}]}]}', True),
        (rb'{"audio":{"voice":{"id":"voice_1"}}}', True),
        (rb'{"type":"video_url"}', False),
        (rb'{"content":"a conversation, caf\u00e9, 1 \u003c 2"}', False),
        (rb'{"messages":[{"role":"user","content":"of a conversation"}]}', False),
    ],
)
def test_few_calls_for_a_models_answer_might_name_things(said: bytes, may: bool) -> None:  # noqa: FBT001
    assert may_name(said) is may


_KEYS = ["file_id", "vector_store_ids", "container", "container_id", "conversation"]
_AS_BEFORE = (b"file_id", b"vector_store", b"container", b'"conversation"')
_PIECES = [
    *_AS_BEFORE,
    b"file",
    b"_id",
    b'"',
    b"conversation",
    b"vector_",
    b"con",
    b" ",
    rb"\u00e9",
    b"\\",
    rb"\n",
]


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        (rb'{"tools":[{"type":"code_interpreter","container" : {"type":"auto"}}]}', True),
        (rb'{"tools":[{"type":"shell","environment":{"type":"container_auto"}}]}', True),
        (rb'{"tools":[{"type":"code_interpreter","co\u006etainer":"auto"}]}', True),
        (rb'{"input":"a container named \"container\" of caf\u00e9s"}', False),
    ],
)
def test_a_request_says_whether_code_may_be_run_for_it(said: bytes, runs: bool) -> None:  # noqa: FBT001
    assert runs_code(said) is runs


@given(st.sampled_from(_KEYS), st.text(max_size=20), st.data())
def test_whoever_names_a_thing_is_seen_however_json_writes_the_key(
    key: str, beside: str, data: st.DataObject
) -> None:
    hexes = st.sampled_from(["\\u%04x", "\\u%04X"])
    written = "".join(data.draw(hexes) % ord(char) if data.draw(st.booleans()) else char for char in key)

    assert may_name(msgspec.json.encode(beside) + f'{{"{written}":"x"}}'.encode())


@given(st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=5)), max_size=30))
def test_every_key_is_seen_wherever_it_stands_and_nothing_else_is(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    spelt = [rb"\u005f", rb"\u005F", rb"\u006", rb"\u007", b'"skill_', b'"voice_']
    spelt += [b"iles/", b"ontents/", b"tores/", rb"s\/", rb"s\u002f", rb"s\u002F"]

    assert may_name(body) is any(key in body for key in (*_AS_BEFORE, *spelt))


@given(st.binary(max_size=200))
def test_no_answer_makes_it_fail(answer):
    made_in(answer)
    listed(answer, "files")
    listed(b'{"data":%b}' % answer, "files")
    ids_in(answer)
    googles_ids_in(b'"files/' + answer)
