"""The REST API of tokens."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access_tokens.models import Token

from .factories import KnownToken, TokenFactory

API = "/api/tokens/"


@pytest.fixture
def session(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def bearer(token: KnownToken) -> Client:
    return Client(headers={"Authorization": f"Bearer {token.secret}"})


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def test_created_token_works(session: Client) -> None:
    created = post(session, API, {"name": "CI"})

    assert created.status_code == 201
    secret = created.json()["secret"]
    me = Client().get(f"{API}self/", headers={"Authorization": f"Bearer {secret}"})
    assert me.json()["name"] == "CI"
    assert me.json()["user"] == "ada"


def test_token_never_manages_tokens(bearer: Client, token: KnownToken) -> None:
    one = f"{API}{token.pk}/"
    calls = [
        ("get", API), ("post", API), ("get", one), ("patch", one), ("delete", one),
        ("post", f"{one}rotate/"),
    ]  # fmt: skip
    for method, path in calls:
        assert getattr(bearer, method)(path).status_code == 403
    assert Token.objects.count() == 1


def test_session_rotates_and_deletes(session: Client, user: User) -> None:
    token = TokenFactory.create(user=user)
    assert post(session, f"{API}{token.pk}/rotate/", {}).status_code == 200
    assert session.delete(f"{API}{token.pk}/").status_code == 204
    assert not Token.objects.exists()
