"""The quickstart leads to a token that works."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.mark.django_db
def test_user_logs_in_creates_a_token_and_uses_it(client: Client) -> None:
    User.objects.create_user("ada", password="ada")
    page = client.get("/account/tokens/", follow=True)
    ((login, _),) = page.redirect_chain
    assert b'name="password"' in page.content
    response = client.post(login, {"username": "ada", "password": "ada"})
    assert response["Location"] == "/account/tokens/"
    html = client.post("/account/tokens/new/", {"name": "Laptop", "expires_at": "90"})
    (secret,) = set(re.findall(r"pat_[0-9A-Za-z]{46}", html.content.decode()))
    assert "http://testserver/api/me/" in html.content.decode()

    api = Client(headers={"authorization": f"Bearer {secret}"})
    assert api.get("/api/me/").json() == {"username": "ada"}
    User.objects.get().access_tokens.all().delete()
    refused = api.get("/api/me/")
    assert (refused.status_code, refused["WWW-Authenticate"][:6]) == (401, "Bearer")
