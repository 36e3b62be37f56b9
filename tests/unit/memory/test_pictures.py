from __future__ import annotations

from memory.pictures import MAX_URL, MOST_PICTURES, pictures_in, pictures_of


def test_pictures_are_found_as_openai_and_anthropic_write_them() -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ=="},
        {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "QUI="}},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/b.png"}},
    ]

    assert pictures_in(content) == [
        "https://x.example/a.png",
        "data:image/png;base64,QQ==",
        "data:image/gif;base64,QUI=",
        "https://x.example/b.png",
    ]


def test_what_is_no_picture_is_left_out() -> None:
    odd = [
        {"image_url": "file:///etc/passwd"},
        {"image_url": {"url": 3}},
        {"type": "image", "source": {}},
        "text",
    ]
    large = {"image_url": "https://x.example/" + "a" * MAX_URL}

    assert pictures_in([*odd, large]) == []
    assert pictures_in("https://x.example/a.png") == []
    assert len(pictures_in([{"image_url": "https://x.example/a.png"}] * 9)) == MOST_PICTURES


def test_only_users_show_pictures() -> None:
    part = [{"image_url": "https://x.example/a.png"}]

    assert pictures_of([{"role": "assistant", "content": part}, {"content": part}]) == [
        "https://x.example/a.png"
    ]
