"""Pages that ask for a recent log-in, as in the documentation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import include, path, reverse
from django.utils import timezone
from pytest_django import Settings

from access_tokens.models import Token
from access_tokens.urls import urlpatterns as token_urls
from tests.factories import KnownToken
from tests.html import Page

PAGES = [url.name for url in token_urls if url.name in {"create", "rotate", "delete"}]
NEW = {"name": "CI", "expires_at": ""}


@pytest.fixture
def user(user: User) -> User:
    user.set_password("correct horse")
    user.save()
    return user


@pytest.fixture(params=["mysite.urls", "mysite.allauth_urls"])
def urls(request: pytest.FixtureRequest, settings: Settings) -> str:
    others = ("allauth.account.urls", "example_project.urls")
    settings.ROOT_URLCONF = tuple(path("", include(name)) for name in (request.param, *others))
    return str(request.param)


@pytest.fixture
def client(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def page_url(name: str, token: Token) -> str:
    return reverse(f"access_tokens:{name}", args=[] if name == "create" else [token.pk])


def log_in_again(client: Client, response: Any) -> Any:
    """Fill in the form that ``response`` leads to."""
    return client.post(response["Location"], {"username": "ada", "password": "correct horse"})


def later() -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False)


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize("name", PAGES)
def test_page_asks_for_a_log_in_and_opens_after_it(
    client: Client, token: KnownToken, name: str
) -> None:
    url = page_url(name, token)
    with later():
        response = client.get(url)
        assert response.status_code == 302
        assert client.get(response["Location"]).status_code == 200
        assert log_in_again(client, response)["Location"] == url
        assert client.get(url).status_code == 200


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize("name", PAGES)
def test_post_after_an_old_log_in_changes_nothing(
    client: Client, token: KnownToken, name: str
) -> None:
    before = list(Token.objects.values())
    with later():
        assert client.post(page_url(name, token), NEW).status_code == 302
    assert list(Token.objects.values()) == before


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize("name", PAGES)
def test_page_asks_who_is_not_logged_in(token: KnownToken, name: str) -> None:
    assert "login/?next=" in Client().get(page_url(name, token))["Location"]


@pytest.mark.usefixtures("urls")
def test_list_asks_for_no_recent_log_in(client: Client) -> None:
    with later():
        assert client.get("/account/tokens/").status_code == 200


@pytest.mark.parametrize("urls", ["mysite.urls"], indirect=True)
def test_log_in_of_another_session_does_not_count(urls: str, client: Client, user: User) -> None:
    with later():
        Client().force_login(user)
        assert client.get("/account/tokens/new/").status_code == 302


@pytest.mark.parametrize("urls", ["mysite.allauth_urls"], indirect=True)
def test_password_for_allauth_completes_the_post(urls: str, client: Client) -> None:
    response = log_in_again(client, client.post("/account/tokens/new/", NEW))

    secret = Page(response).text("code[@tabindex]")
    assert Token.objects.verify(secret).name == "CI"
    assert "no-store" in response["Cache-Control"]
    assert secret not in repr(dict(client.session))


@pytest.mark.parametrize("urls", ["mysite.allauth_urls"], indirect=True)
def test_allauth_does_not_ask_who_has_no_password(urls: str, client: Client, user: User) -> None:
    user.set_unusable_password()
    user.save()
    client.force_login(user)

    assert client.get("/account/tokens/new/").status_code == 200
