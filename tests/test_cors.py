"""Browsers on other origins, by django-cors-headers, and caches, as the documentation has them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import path
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.response import Response
from rest_framework.views import APIView

from .clients import session_of
from .docs import code_block
from .factories import KnownToken, TokenFactory

pytestmark = pytest.mark.django_db
urlpatterns: list[Any] = []
ORIGIN = "https://app.example.com"


@pytest.fixture
def client(settings: Settings) -> Client:
    """Return a client of the example project with the settings of the documentation."""
    allow_other_origins(settings)
    return Client()


def allow_other_origins(settings: Settings) -> None:
    documented: dict[str, Any] = {}
    exec(code_block("CORS_ALLOWED_ORIGINS"), documented)  # noqa: S102
    del documented["__builtins__"]
    for name in ["INSTALLED_APPS", "MIDDLEWARE"]:
        documented[name] = [*documented[name], *getattr(settings, name)]
    for name, value in documented.items():
        setattr(settings, name, value)


def bearer(secret: str, origin: str = ORIGIN) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}", "origin": origin}


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


# CORS.


def test_preflight_needs_no_token_and_asks_no_database(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = client.options(
            "/api/notes/",
            headers={
                "origin": ORIGIN,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization, content-type",
            },
        )

    assert response.status_code == HTTPStatus.OK
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert names(response["Access-Control-Allow-Headers"]) >= {"authorization", "content-type"}


def test_page_of_an_allowed_origin_may_read_the_answer(client: Client, token: KnownToken) -> None:
    response = client.get("/api/me/", headers=bearer(token.secret))

    assert response.json() == {"username": "ada", "token": "laptop"}
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in response


def test_page_may_read_why_a_token_was_refused(client: Client, token: KnownToken) -> None:
    response = client.get("/api/me/", headers=bearer("wrong"))

    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert 'error="invalid_token"' in response["WWW-Authenticate"]
    assert "www-authenticate" in names(response["Access-Control-Expose-Headers"])


@pytest.mark.parametrize(
    ("path", "origin"),
    [("/api/me/", "https://evil.example"), ("/account/tokens/", ORIGIN)],
)
def test_page_of_another_origin_may_not_read_the_answer(
    client: Client, token: KnownToken, path: str, origin: str
) -> None:
    response = client.get(path, headers=bearer(token.secret, origin))

    assert "Access-Control-Allow-Origin" not in response


def test_answers_to_two_origins_are_two_answers(client: Client, token: KnownToken) -> None:
    assert "origin" in names(client.get("/api/me/", headers=bearer(token.secret))["Vary"])


# Caches.


@pytest.fixture
def statistics(settings: Settings) -> str:
    """Serve the view of the documentation, and return its path."""
    documented: dict[str, Any] = {"APIView": APIView, "Response": Response}
    exec(code_block("class StatisticsView"), documented)  # noqa: S102
    settings.ROOT_URLCONF = __name__
    urlpatterns[:] = [path("statistics/", documented["StatisticsView"].as_view())]
    cache.clear()
    return "/statistics/"


def test_cached_answer_is_for_its_token_or_session_alone(statistics: str, client: Client) -> None:
    ada, eve = (TokenFactory.create(user__username=name) for name in ["ada", "eve"])

    for _ in range(2):
        for token in [ada, eve]:
            for caller, headers in [(client, bearer(token.secret)), (session_of(token.user), {})]:
                answer = caller.get(statistics, headers=headers)
                assert answer.json() == {"username": token.user.get_username()}
    assert client.get(statistics).status_code == HTTPStatus.UNAUTHORIZED


def test_cached_answer_is_not_for_a_deleted_token(
    statistics: str, client: Client, token: KnownToken
) -> None:
    assert client.get(statistics, headers=bearer(token.secret)).status_code == HTTPStatus.OK
    token.delete()

    response = client.get(statistics, headers=bearer(token.secret))
    assert response.status_code == HTTPStatus.UNAUTHORIZED
