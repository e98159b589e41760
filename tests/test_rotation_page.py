"""Rotation on the page; tests/test_rotation.py is about what it does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from access_tokens.conf import DEFAULTS
from access_tokens.forms import TokenRotateForm
from access_tokens.models import Token
from access_tokens.views import TokenRotateView

from .factories import KnownToken, TokenFactory
from .html import Page, text
from .test_views import LIST, METHODS, end_previous_url, rotate_url, secret_of, serve

NOW = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture(params=["base.html", DEFAULTS["BASE_TEMPLATE"]], ids=["of_site", "built_in"])
def any_base(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": request.param}


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def works(secret: str) -> bool:
    api = Client(headers={"Authorization": f"Bearer {secret}"})
    return api.get("/api/me/").status_code == HTTPStatus.OK


def row(client: Client) -> Page:
    return Page(client.get(LIST))


def test_row_offers_to_rotate(client: Client, token: KnownToken) -> None:
    page = row(client)

    (form,) = page.all(f"tbody/tr/td/form[@action='{rotate_url(token.pk)}']")
    assert form.get("method") == "get"
    (button,) = form.iter("button")
    assert button.get("aria-label") == "Rotate laptop"
    assert Page(client.get(form.attrib["action"])).title == "Rotate “laptop”?"


@pytest.mark.parametrize("why", ["off", "expired"])
def test_row_offers_no_rotation_that_is_impossible(
    client: Client, token: KnownToken, settings: Settings, why: str
) -> None:
    if why == "off":
        settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}
    else:
        Token.objects.update(expires_at=NOW)

    assert "Rotate laptop" not in row(client).html


@pytest.mark.parametrize("method", ["get", "post"])
def test_rotation_that_is_off_is_not_found(
    client: Client, token: KnownToken, settings: Settings, method: str
) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}

    assert getattr(client, method)(rotate_url(token.pk)).status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("overlap", "said"),
    [
        (DAY, "keeps working until 1\xa0day after the first use of the new one, so you have"),
        (2 * DAY + timedelta(hours=1), "until 2\xa0days, 1\xa0hour after the first use"),
        (timedelta(0), "stops working at the first use of the new one."),
    ],
)
def test_rotation_says_first_what_it_does(
    client: Client, token: KnownToken, settings: Settings, overlap: timedelta, said: str
) -> None:
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": overlap}

    page = Page(client.get(rotate_url(token.pk)))
    start = f"This generates a new token with the same name. The old one ({token.partial})"
    assert f"{start} " in page.body
    assert " ".join(said.split()) in page.body
    assert "checked" not in page.one("input[@name='end_previous_now']").attrib
    assert "The old token may have leaked: stop it now" in page.texts("label")
    assert page.text(f"a[@href='{LIST}'][@class='at-btn']") == "Cancel"
    assert works(token.secret)


def test_rotation_says_that_the_unused_one_stops(client: Client, token: KnownToken) -> None:
    secret_of(client.post(rotate_url(token.pk)))

    said = "The token of the last rotation was never used. It stops working immediately"
    body = Page(client.get(rotate_url(token.pk))).body
    assert said in body
    assert f"The old one ({token.partial}) keeps working" in body
    Token.objects.update(previous_expires_at=NOW)
    body = Page(client.get(rotate_url(token.pk))).body
    assert said in body
    assert "keeps working" not in body


def test_new_secret_is_shown_once_and_the_old_one_works(
    client: Client, token: KnownToken, any_base: None
) -> None:
    before = dict(client.session)

    response = client.post(rotate_url(token.pk))
    assert response.status_code == HTTPStatus.OK
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    page, secret = Page(response), secret_of(response)
    assert page.html.count(secret) == 1
    assert page.title == "Copy your new token"
    assert "if you lose it, rotate again." in page.body
    assert f"The old token ({token.partial}) works until the new one is used." in page.body
    assert page.text(f"a[@href='{LIST}'][@data-at-done]") == "Done, I’ve stored it"
    assert dict(client.session) == before
    assert secret not in row(client).html
    assert works(token.secret)
    assert works(secret)


def test_old_secret_may_be_stopped_at_once(client: Client, token: KnownToken) -> None:
    response = client.post(rotate_url(token.pk), {"end_previous_now": "on"})

    assert "The old token of “laptop” no longer works." in Page(response).body
    assert not works(token.secret)
    assert works(secret_of(response))


def test_second_submit_shows_the_last_secret(client: Client, token: KnownToken) -> None:
    first, last = (secret_of(client.post(rotate_url(token.pk))) for _ in range(2))

    assert [works(secret) for secret in (token.secret, first, last)] == [True, False, True]


def rotate_before_the_update(other: Token) -> Any:
    """Return a wrapper of queries in which another request rotates the token first."""
    is_done: list[bool] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "previous_digest" in sql and not is_done:
            is_done.append(True)
            Token.objects.rotate(other)
        return execute(sql, *args)

    return connection.execute_wrapper(wrapper)


def test_rotation_at_the_same_time_shows_one_secret_and_an_error(
    client: Client, token: KnownToken, any_base: None
) -> None:
    with rotate_before_the_update(token):
        page = Page(client.post(rotate_url(token.pk)))

    assert page.title == "Error: Rotate “laptop”?"
    assert page.texts("h1") == ["Rotate “laptop”?"]
    assert page.texts("div[@role='alert']") == [
        "The token was rotated or deleted at the same time. Try again."
    ]
    assert not page.all("*[@data-at-secret]")
    assert "The token of the last rotation was never used." in page.body
    assert secret_of(client.post(rotate_url(token.pk)))
    assert works(token.secret)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_token_that_expired_or_was_deleted_meanwhile_is_not_rotated(
    client: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch, is_deleted: bool
) -> None:
    class SlowForm(TokenRotateForm):
        def clean(self) -> None:
            gone: dict[str, Any] = {"id": token.pk + 1}
            changes = gone if is_deleted else {"expires_at": NOW}
            Token.objects.update(**changes)

    monkeypatch.setattr(TokenRotateView, "form_class", SlowForm)
    response = client.post(rotate_url(token.pk))

    assert Token.objects.get().rotated_at is None
    if is_deleted:
        assert response.status_code == HTTPStatus.NOT_FOUND
    else:
        page = Page(response)
        assert page.texts("div[@role='alert']") == ["The token has expired."]
        assert "Rotate token" not in page.texts("button")
        assert page.text(f"a[@href='{LIST}'][@class='at-btn']") == "Cancel"


@pytest.mark.parametrize("is_superuser", [False, True])
@pytest.mark.parametrize("url", [rotate_url, end_previous_url])
@pytest.mark.parametrize("method", METHODS)
def test_token_of_another_is_like_none(
    client: Client, user: User, method: str, url: Any, is_superuser: bool
) -> None:
    User.objects.update(is_superuser=is_superuser, is_staff=is_superuser)
    other = TokenFactory.create()
    Token.objects.rotate(other)
    before = Token.objects.values().get()
    missing = other.pk + 1

    call = getattr(client, method)
    of_another, of_none = call(url(other.pk)), call(url(missing))
    assert of_another.status_code == of_none.status_code
    assert of_another.content == of_none.content.replace(b"%d" % missing, b"%d" % other.pk)
    assert Token.objects.values().get() == before
    if method == "post":
        assert of_another.status_code == HTTPStatus.NOT_FOUND


# The old secret.


def test_row_says_until_when_the_old_secret_works(
    client: Client, token: KnownToken, clock: Any
) -> None:
    assert not row(client).all("form[@class='at-previous']")
    secret = secret_of(client.post(rotate_url(token.pk)))

    said = f"Rotated Nov. 3, 2026. The old token ({token.partial}) works until "
    assert row(client).text("form[@class='at-previous']/span") == f"{said}the new one is used."
    works(secret)
    assert row(client).text("form[@class='at-previous']/span") == f"{said}Nov. 4, 2026, 14:00."
    clock.shift(DAY)
    assert not row(client).all("form[@class='at-previous']")


def test_row_says_nothing_of_an_old_secret_that_ended_with_its_token(
    client: Client, user: User, clock: Any, settings: Settings
) -> None:
    token = TokenFactory.create(user=user, expires_at=NOW + 2 * DAY)
    clock.shift(DAY)
    Token.objects.rotate(token)
    assert row(client).all("form[@class='at-previous']")

    Token.objects.update(expires_at=NOW + DAY)
    assert not row(client).all("form[@class='at-previous']")
    Token.objects.update(expires_at=None)
    clock.shift(DAY)
    assert not row(client).all("form[@class='at-previous']")


def test_row_says_nothing_of_an_old_secret_without_rotation(
    client: Client, token: KnownToken, settings: Settings
) -> None:
    Token.objects.rotate(token)
    settings.ACCESS_TOKENS = {"ROTATION_OVERLAP": None}

    assert not row(client).all("form[@class='at-previous']")


@pytest.mark.parametrize("times", [1, 2])
def test_old_secret_can_be_ended(
    client: Client, token: KnownToken, any_base: None, times: int
) -> None:
    secret = secret_of(client.post(rotate_url(token.pk)))
    form = row(client).one("form[@class='at-previous']")
    assert form.get("method") == "post"
    assert [text(button) for button in form.iter("button")] == ["End now"]
    assert [button.get("aria-label") for button in form.iter("button")] == [
        "End now: old token of laptop"
    ]

    for _ in range(times):
        response = client.post(form.attrib["action"], follow=True)
    assert response.redirect_chain == [(LIST, HTTPStatus.FOUND)]
    assert "The old token of “laptop” no longer works." in Page(response).body
    assert [works(token.secret), works(secret)] == [False, True]


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_old_secret_is_ended_by_post_alone(client: Client, token: KnownToken, method: str) -> None:
    Token.objects.rotate(token)

    response = getattr(client, method)(end_previous_url(token.pk))
    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert works(token.secret)


@pytest.mark.parametrize(("asked", "led"), [("/?tab=t", "/?tab=t"), ("//evil.example", LIST)])
def test_rotation_leads_back_to_where_it_was_asked(
    client: Client, token: KnownToken, asked: str, led: str
) -> None:
    url = rotate_url(token.pk)

    assert Page(client.get(url, {"next": asked})).text(f"a[@href='{led}'][@class='at-btn']")
    reveal = Page(client.post(f"{url}?next={asked}"))
    assert reveal.one("a[@data-at-done]").get("href") == led
    assert client.post(end_previous_url(token.pk), {"next": asked})["Location"] == led


def test_form_that_is_not_committed_rotates_nothing(token: KnownToken) -> None:
    form = TokenRotateForm({}, instance=token)

    assert form.save(commit=False) == token
    assert Token.objects.get().rotated_at is None


def test_view_can_be_subclassed(token: KnownToken) -> None:
    class View(TokenRotateView):
        created_page_title = "Your key"

        def get_page_title(self) -> str:
            return "Renew"

    assert Page(serve(View, "get", token.user, pk=token.pk)).title == "Renew"
    assert Page(serve(View, "post", token.user, pk=token.pk)).title == "Your key"
