from __future__ import annotations

from urllib.parse import parse_qs

import msgspec
import pytest

from gateway.providers.google_account import ServiceAccount, User, ask, read_account, read_granted
from tests.fakes.clouds import GoogleAccount

URI = "https://oauth2.example:8443/token"


def test_a_service_account_signs_who_it_is_and_what_for():
    google = GoogleAccount()

    asked = ask(read_account(google.file(URI)), 1_700_000_000)

    assert (asked.method, asked.origin.host, asked.origin.port, asked.path) == (
        "POST",
        "oauth2.example",
        8443,
        "/token",
    )
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert google.claims(form["assertion"][0]) == {
        "iss": "tide@harbour.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": URI,
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }


def test_a_user_of_gcloud_has_a_token_to_renew_by():
    said = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "account": "",
    }
    user = read_account(msgspec.json.encode(said).decode())

    asked = ask(user, 0)

    assert isinstance(user, User)
    assert user.name == "c"
    assert asked.origin.host == "oauth2.googleapis.com"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"], "client_id": ["c"], "client_secret": ["s"], "refresh_token": ["r"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "hush-hush",
        '{"type":"external_account","token":"hush-hush"}',
        '{"type":"service_account","private_key":"hush-hush"}',
        '{"type":"service_account","client_email":"a","private_key":"hush-hush","token_uri":"file:///etc"}',
    ],
)
def test_what_is_no_account_is_refused_without_repeating_it(text):
    with pytest.raises(ValueError, match="service account") as error:
        read_account(text)

    assert "hush" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_key_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"."):
        ask(ServiceAccount(client_email="a", private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n"), 0)


def test_a_grant_is_a_token_and_its_time():
    granted = read_granted(b'{"access_token":"ya29.x","expires_in":"3599","token_type":"Bearer"}')

    assert (granted.access_token, granted.expires_in) == ("ya29.x", 3599)
    with pytest.raises(ValueError, match="access_token"):
        read_granted(b'{"error":"invalid_grant"}')
