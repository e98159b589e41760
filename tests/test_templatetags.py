from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import Context, RequestContext, Template
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from pytest_django import Settings

from access_tokens.models import Token
from access_tokens.templatetags.access_tokens import time_ago, token_badges, token_name

from .factories import KnownToken, TokenFactory
from .html import Page, text

NOW = "2026-11-24 12:00:00Z"


def render(source: str, context: Context | dict[str, Any]) -> str:
    context = context if isinstance(context, Context) else Context(context)
    return Template("{% load access_tokens %}" + source).render(context)


def request_of(user: User | AnonymousUser) -> HttpRequest:
    request = RequestFactory().get("/settings/")
    request.user = user
    return request


def page(source: str, context: Context | dict[str, Any]) -> Page:
    html = f"<!DOCTYPE html><title>Settings</title><main>{render(source, context)}</main>"
    return Page(HttpResponse(html))


# at_nonce_attr


def test_nonce_is_missing_where_the_site_has_none() -> None:
    assert render("<script{% at_nonce_attr %}>", {}) == "<script>"
    assert (
        render("<script{% at_nonce_attr %}>", {"request": RequestFactory().get("/")}) == "<script>"
    )


def test_nonce_of_the_context_is_used() -> None:
    assert render("{% at_nonce_attr %}", {"csp_nonce": "abc"}) == ' nonce="abc"'


def test_nonce_that_is_not_made_yet_is_made() -> None:
    class LazyNonce(SimpleLazyObject):  # type: ignore[type-arg]  # generic in the stubs alone
        def __bool__(self) -> bool:
            return False

    nonce = LazyNonce(lambda: "abc")
    assert render("{% at_nonce_attr %}", {"csp_nonce": nonce}) == ' nonce="abc"'


def test_nonce_of_the_request_is_used() -> None:
    request = RequestFactory().get("/")
    request.csp_nonce = "abc"  # type: ignore[attr-defined]  # as django-csp sets it

    assert render("{% at_nonce_attr %}", {"request": request}) == ' nonce="abc"'
    assert render("{% at_nonce_attr %}", RequestContext(request, {})) == ' nonce="abc"'


def test_nonce_is_escaped() -> None:
    assert render("{% at_nonce_attr %}", {"csp_nonce": '"><b>'}) == ' nonce="&quot;&gt;&lt;b&gt;"'


# token_mask, token_name


def test_mask_shows_the_ends_of_the_secret() -> None:
    token = Token(partial="pat_Zy4k…9fQx")

    mask = page("{% token_mask token %}", {"token": token})
    assert mask.text("code") == "pat_Zy4k••••••••9fQx"
    assert mask.one("code").get("aria-hidden") == "true"
    assert mask.text("span[@class='at-sr']") == "starts with pat_Zy4k, ends with 9fQx"


@pytest.mark.parametrize("name", ["laptop", "<b>", "&amp;", "\u05d0\u05d1", "{{ token }}"])
def test_name_is_isolated_text(name: str) -> None:
    assert page("{{ token|token_name }}", {"token": Token(name=name)}).text("bdi") == name


def test_name_of_no_token_is_an_empty_place() -> None:
    assert token_name(None) == '<bdi data-at-slot="name"></bdi>'


# token_badges


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize(
    ("expires", "created", "used", "badges"),
    [
        (None, timedelta(0), None, ["No expiration"]),
        (timedelta(days=90), timedelta(0), None, ["Expires Feb.\xa022,\xa02027"]),
        (timedelta(days=14, seconds=1), timedelta(0), None, ["Expires Dec.\xa08,\xa02026"]),
        (timedelta(days=14), timedelta(0), None, ["Expires in 14 days"]),
        (timedelta(days=1), timedelta(0), None, ["Expires in 1 day"]),
        (timedelta(hours=1), timedelta(0), None, ["Expires today"]),
        (timedelta(0), timedelta(0), None, ["Expired Nov.\xa024,\xa02026"]),
        (timedelta(days=-30), timedelta(days=400), None, ["Expired Oct.\xa025,\xa02026"]),
        (None, timedelta(days=90, seconds=-1), None, ["No expiration"]),
        (None, timedelta(days=90), None, ["No expiration", "Unused for 90 days"]),
        (None, timedelta(days=400), timedelta(days=91), ["No expiration", "Unused for 91 days"]),
        (None, timedelta(days=400), timedelta(days=1), ["No expiration"]),
        (
            timedelta(days=2),
            timedelta(days=100),
            None,
            ["Expires in 2 days", "Unused for 100 days"],
        ),
    ],
)
def test_badges_say_what_to_look_at(
    settings: Settings,
    expires: timedelta | None,
    created: timedelta,
    used: timedelta | None,
    badges: list[str],
    use_tz: bool,
) -> None:
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "UTC"
    now = timezone.now()
    token = Token(
        created_at=now - created,
        last_used_at=None if used is None else now - used,
        expires_at=None if expires is None else now + expires,
    )

    assert [badge.text for badge in token_badges(token)] == badges


def test_line_that_needs_no_attention_is_neutral() -> None:
    now = timezone.now()
    for expires_at in (None, now + timedelta(days=15)):
        (badge,) = token_badges(Token(created_at=now, expires_at=expires_at))
        assert badge.tone == "at-tone-neutral"


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize("short", [timedelta(0), timedelta(microseconds=1)])
def test_badge_and_query_set_agree_on_what_is_unused(token: KnownToken, short: timedelta) -> None:
    token.created_at = timezone.now() - timedelta(days=90) + short
    token.save(update_fields=["created_at"])

    is_unused = Token.objects.unused().exists()
    assert is_unused == ("Unused for 90 days" in [badge.text for badge in token_badges(token)])
    assert is_unused == (not short)


def test_days_to_the_expiration_are_those_of_the_time_zone() -> None:
    with time_machine.travel("2026-11-24 23:30:00Z", tick=False):
        now = timezone.now()
        token = Token(created_at=now, expires_at=now + timedelta(hours=1))

        assert token_badges(token)[0].text == "Expires in 1 day"
        with timezone.override("Europe/Berlin"):
            assert token_badges(token)[0].text == "Expires today"


# Scopes.

SCOPES = {"read": "Read", "reports": "Run <b>reports</b>"}


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(
    ("scopes", "days", "badges"),
    [
        ("read", 90, ["Read · Expires Feb. 22, 2027"]),
        ("read reports", None, ["Read, Run <b>reports</b> · No expiration"]),
        ("read", 2, ["Read", "Expires in 2 days"]),
        ("read <i>", None, ["Read, <i> (no longer available) · No expiration"]),
        (None, 90, ["Expires Feb. 22, 2027", "Full access"]),
        (None, 2, ["Full access", "Expires in 2 days"]),
    ],
)
def test_scopes_are_said_in_one_calm_line(
    settings: Settings, scopes: str | None, days: int | None, badges: list[str]
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}
    now = timezone.now()
    expires_at = None if days is None else now + timedelta(days)
    token = Token(created_at=now, expires_at=expires_at, scopes=scopes)

    source = "{% for badge in token|token_badges %}<p>{{ badge.text }}</p>{% endfor %}"
    assert page(source, {"token": token}).texts("p") == badges


def test_scope_that_is_gone_is_struck_out(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}

    html = page("{{ token|token_scopes }}", {"token": Token(scopes="read gone")})
    assert html.texts("s") == ["gone"]


def test_scopes_are_not_said_where_the_site_has_none() -> None:
    now = timezone.now()

    assert len(token_badges(Token(created_at=now, scopes="read"))) == 1


# time_ago


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=-5), "Just now"),
        (timedelta(0), "Just now"),
        (timedelta(seconds=59), "Just now"),
        (timedelta(minutes=1), "1\xa0minute\xa0ago"),
        (timedelta(hours=2, minutes=59), "2\xa0hours\xa0ago"),
        (timedelta(days=400), "1\xa0year\xa0ago"),
    ],
)
def test_time_ago_is_in_the_largest_unit(ago: timedelta, said: str) -> None:
    assert time_ago(timezone.now() - ago) == said


# access_tokens_table


def test_table_shows_the_tokens_of_the_user(token: KnownToken) -> None:
    TokenFactory.create(name="of somebody else")

    table = page("{% access_tokens_table %}", RequestContext(request_of(token.user), {}))
    assert table.texts("tbody/tr/th/bdi") == ["laptop"]
    assert table.text("a[@href='/account/tokens/']") == "Manage access tokens"
    assert table.text("a[@href='/account/tokens/new/']") == "New Token"
    assert list(table.inline_code()) == []


def test_deleting_from_the_table_leads_back_to_its_page(token: KnownToken) -> None:
    request = request_of(token.user)
    request.META["QUERY_STRING"] = "tab=<tokens>"

    table = page("{% access_tokens_table %}", {"request": request})
    assert [field.get("value") for field in table.all("form/input[@name='next']")] == [
        "/settings/?tab=%3Ctokens%3E"
    ] * 3


def test_table_can_be_used_without_a_request_context(token: KnownToken) -> None:
    table = page("{% access_tokens_table %}", {"request": request_of(token.user)})

    assert table.texts("tbody/tr/th/bdi") == ["laptop"]


def test_table_carries_the_csrf_token_and_the_nonce(token: KnownToken) -> None:
    context = {"request": request_of(token.user), "csrf_token": "a" * 64, "csp_nonce": "abc"}

    table = page("{% access_tokens_table %}", context)
    assert table.one("input[@name='csrfmiddlewaretoken']").get("value") == "a" * 64
    assert table.one("script").get("nonce") == "abc"


def test_table_of_a_user_without_tokens_says_so(user: User) -> None:
    table = page("{% access_tokens_table %}", {"request": request_of(user)})

    assert "You don’t have any access tokens" in [text(p) for p in table.all("p")]


def test_table_says_that_the_limit_is_reached(token: KnownToken, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"MAX_TOKENS_PER_USER": 1}

    table = page("{% access_tokens_table %}", {"request": request_of(token.user)})
    assert table.text("p[@class='at-limit']").startswith("You have reached the limit of 1 token.")
    assert not table.all("a[@href='/account/tokens/new/']")


def test_table_says_who_may_not_create(user: User, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"MAY_CREATE": lambda user: False}

    table = page("{% access_tokens_table %}", {"request": request_of(user)})
    assert table.text("p[@class='at-limit']") == "You may not create access tokens."
    assert not table.all("a[@href='/account/tokens/new/']")


@pytest.mark.parametrize("context", [{}, {"request": RequestFactory().get("/")}])
def test_table_without_a_user_is_empty(context: dict[str, Any]) -> None:
    assert render("{% access_tokens_table %}", context).strip() == ""


def test_table_of_an_anonymous_user_is_empty() -> None:
    context = {"request": request_of(AnonymousUser())}

    assert render("{% access_tokens_table %}", context).strip() == ""


def test_table_shows_the_newest_fifty_in_one_query_without_the_digest(user: User) -> None:
    tokens = TokenFactory.create_batch(51, user=user)

    with CaptureQueriesContext(connection) as queries:
        table = page("{% access_tokens_table %}", {"request": request_of(user)})

    assert table.texts("tbody/tr/th/bdi") == [token.name for token in reversed(tokens[1:])]
    assert len(queries) == 1
    assert "digest" not in str(queries.captured_queries)


def test_a_token_whose_uses_are_not_recorded_is_not_called_unused(
    token: KnownToken, settings: Settings
) -> None:
    token.created_at -= timedelta(days=100)
    assert len(token_badges(token)) == 2
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": None}
    assert len(token_badges(token)) == 1
