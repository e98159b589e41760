from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, override_script_prefix
from django.urls import include, path, reverse, reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.generic import View
from pytest_django import Settings
from rest_framework.authentication import SessionAuthentication

from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.conf import DEFAULTS
from access_tokens.decorators import access_token_required
from access_tokens.forms import TokenForm
from access_tokens.models import Token
from access_tokens.views import TokenCreateView, TokenDeleteView, TokenListView

from .factories import KnownToken, TokenFactory, UserFactory
from .html import Page, text

LIST = "/account/tokens/"
CREATE = "/account/tokens/new/"
METHODS = ["get", "head", "options", "post", "put", "patch", "delete"]
# The middleware without which nobody can be logged in.
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onclick='alert(1)",
    "{{ secret }}{% debug %}",
    "%(name)s %s 100%",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "]]><!-- </code></dialog>",
]

WRITE_REPORTS = ["write", "reports"]


class KeyAuthentication(AccessTokenAuthentication):
    keyword = "Key"


class Nowhere(View):
    pass


class TableView(View):
    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        source = "{% load access_tokens %}<!DOCTYPE html><title>Profile</title>\n"
        template = engines["django"].from_string(source + "{% access_tokens_table %}")
        return HttpResponse(template.render({}, request))


class SiteWithoutPages:
    urlpatterns = [path("", TableView.as_view())]


def delete_url(pk: Any) -> str:
    return f"/account/tokens/{pk}/delete/"


def rotate_url(pk: Any) -> str:
    return f"/account/tokens/{pk}/rotate/"


def end_previous_url(pk: Any) -> str:
    return f"/account/tokens/{pk}/end-previous/"


@pytest.fixture
def client(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture(params=["base.html", DEFAULTS["BASE_TEMPLATE"]], ids=["of_site", "built_in"])
def any_base(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"BASE_TEMPLATE": request.param}


def create(client: Client, name: str = "laptop", **data: str) -> Any:
    return client.post(CREATE, {"name": name, "expires_at": "90"} | data)


def secret_of(response: Any) -> str:
    return Page(response).text("div[@data-at-secret]/code")


# Who sees what.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", [LIST, CREATE, delete_url(1), rotate_url(1), end_previous_url(1)])
def test_page_needs_a_session(db: None, path: str, method: str) -> None:
    response = getattr(Client(), method)(path)

    assert response.status_code == HTTPStatus.FOUND
    assert response["Location"] == f"/account/login/?next={path}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["list", "create", "delete", "rotate", "end_previous"])
def test_token_does_not_open_the_page(token: KnownToken, kind: str, method: str) -> None:
    url = reverse(f"access_tokens:{kind}", args=[] if kind in {"list", "create"} else [token.pk])
    call = getattr(Client(headers={"Authorization": f"Bearer {token.secret}"}), method)

    assert call(url, {"name": "mine"}).status_code == HTTPStatus.FOUND
    assert list(Token.objects.values_list("pk", "last_used_at")) == [(token.pk, None)]


class TokenMiddleware:
    """Log in by tokens everywhere, as a middleware of a site may do."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = access_token_required(get_response)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)


@pytest.mark.parametrize("kind", ["list", "create", "delete", "rotate", "end_previous"])
def test_token_does_not_open_the_page_where_a_middleware_takes_tokens(
    token: KnownToken, settings: Settings, kind: str
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.test_views.TokenMiddleware"]
    url = reverse(f"access_tokens:{kind}", args=[] if kind in {"list", "create"} else [token.pk])
    client = Client(headers={"Authorization": f"Bearer {token.secret}"})

    assert client.get(url).status_code == HTTPStatus.FORBIDDEN
    assert client.post(url, {"name": "mine"}).status_code == HTTPStatus.FORBIDDEN
    assert list(Token.objects.values_list("pk", "rotated_at")) == [(token.pk, None)]


def test_user_who_became_inactive_is_out(client: Client, user: User) -> None:
    User.objects.update(is_active=False)

    assert create(client).status_code == HTTPStatus.FOUND
    assert not Token.objects.exists()


def test_list_shows_only_own_tokens(client: Client, token: KnownToken) -> None:
    other = TokenFactory.create(name="of somebody else")

    page = Page(client.get(LIST))
    assert page.texts("tbody/tr/th/bdi") == ["laptop"]
    assert other.name not in page.html
    assert other.partial[-4:] not in page.html


@pytest.mark.parametrize("is_superuser", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_token_of_another_is_like_none(
    client: Client, user: User, method: str, is_superuser: bool
) -> None:
    User.objects.update(is_superuser=is_superuser, is_staff=is_superuser)
    other = TokenFactory.create()
    missing = other.pk + 1

    call = getattr(client, method)
    of_another, of_none = call(delete_url(other.pk)), call(delete_url(missing))
    assert of_another.status_code == of_none.status_code
    assert of_another.content == of_none.content.replace(b"%d" % missing, b"%d" % other.pk)
    of_another.headers.pop("Expires", None)
    of_none.headers.pop("Expires", None)
    assert of_another.headers == of_none.headers
    assert Token.objects.get() == other
    if method in {"get", "head"}:
        assert of_another.status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("pk", ["0", "9" * 18, 2**63, 2**64, "9" * 100])
def test_impossible_pk_is_like_none(client: Client, pk: Any) -> None:
    assert client.get(delete_url(pk)).status_code == HTTPStatus.NOT_FOUND
    assert client.post(delete_url(pk))["Location"] == LIST


@pytest.mark.parametrize("pk", ["1a", "-1", "9" * 5000])
def test_pk_that_is_no_number_is_not_found(client: Client, pk: Any) -> None:
    assert client.get(delete_url(pk)).status_code == HTTPStatus.NOT_FOUND
    assert client.post(delete_url(pk)).status_code == HTTPStatus.NOT_FOUND


# What changes nothing.


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_safe_method_changes_nothing(client: Client, token: KnownToken, method: str) -> None:
    call = getattr(client, method)
    for url in (LIST, CREATE, delete_url(token.pk), rotate_url(token.pk)):
        assert call(url, {"name": "other", "_method": "delete"}).status_code == HTTPStatus.OK

    assert Token.objects.get() == token


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_other_method_is_not_allowed(client: Client, token: KnownToken, method: str) -> None:
    for url in (LIST, CREATE, delete_url(token.pk), rotate_url(token.pk)):
        assert getattr(client, method)(url).status_code == HTTPStatus.METHOD_NOT_ALLOWED

    assert Token.objects.get() == token


def test_list_takes_no_post(client: Client) -> None:
    assert client.post(LIST).status_code == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("has_middleware", [True, False])
def test_csrf_token_is_required(
    user: User, token: KnownToken, settings: Settings, has_middleware: bool
) -> None:
    if not has_middleware:
        settings.MIDDLEWARE = MIDDLEWARE
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    assert create(client, "other").status_code == HTTPStatus.FORBIDDEN
    for url in (delete_url, rotate_url, end_previous_url):
        assert client.post(url(token.pk)).status_code == HTTPStatus.FORBIDDEN
    assert Token.objects.get() == token


@pytest.mark.parametrize("has_middleware", [True, False])
def test_csrf_token_is_in_the_forms(
    user: User, token: KnownToken, settings: Settings, has_middleware: bool
) -> None:
    if not has_middleware:
        settings.MIDDLEWARE = MIDDLEWARE
        settings.ACCESS_TOKENS = {}
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    def post(url: str, **data: str) -> Any:
        field = Page(client.get(url)).all(
            "main//form[@method='post']//input[@name='csrfmiddlewaretoken']"
        )
        return client.post(url, data | {"csrfmiddlewaretoken": field[0].attrib["value"]})

    assert post(CREATE, name="other").status_code == HTTPStatus.OK
    assert post(rotate_url(token.pk)).status_code == HTTPStatus.OK
    assert post(delete_url(token.pk)).status_code == HTTPStatus.FOUND
    assert Token.objects.get().name == "other"


# Headers.


@pytest.mark.parametrize("has_middleware", [True, False])
def test_every_response_has_strict_headers(
    client: Client, token: KnownToken, settings: Settings, has_middleware: bool
) -> None:
    if not has_middleware:
        settings.MIDDLEWARE = MIDDLEWARE
    responses = {
        "list": client.get(LIST),
        "form": client.get(CREATE),
        "error": create(client, ""),
        "reveal": create(client, "other"),
        "rotation": client.get(rotate_url(token.pk)),
        "rotated": client.post(rotate_url(token.pk)),
        "ended": client.post(end_previous_url(token.pk)),
        "confirmation": client.get(delete_url(token.pk)),
        "deleted": client.post(delete_url(token.pk)),
        "log-in": Client().get(LIST),
        "method": client.put(CREATE),
    }

    for name, response in responses.items():
        for header, value in HEADERS.items():
            assert response[header] == value, name
        assert {"no-store", "private"} <= set(response["Cache-Control"].split(", ")), name


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (None, "same-origin"),
        ("unsafe-url", "same-origin"),
        ("no-referrer-when-downgrade", "same-origin"),
        ("no-referrer", "no-referrer"),
        # The browser takes the last one that it knows.
        ("same-origin, no-referrer", "no-referrer"),
        (["no-referrer", "strict-origin"], "same-origin"),
    ],
)
def test_the_stricter_referrer_policy_wins(
    client: Client, settings: Settings, policy: Any, said: str
) -> None:
    settings.SECURE_REFERRER_POLICY = policy

    assert client.get(LIST)["Referrer-Policy"] == said


def test_the_stricter_frame_options_win(client: Client, settings: Settings) -> None:
    settings.X_FRAME_OPTIONS = "SAMEORIGIN"

    assert client.get(LIST)["X-Frame-Options"] == "DENY"


def test_refused_csrf_is_not_stored(user: User, settings: Settings) -> None:
    settings.MIDDLEWARE = MIDDLEWARE
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    assert "no-store" in create(client)["Cache-Control"]


def test_stricter_header_of_a_subclass_stays(user: User) -> None:
    class View(TokenListView):
        def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
            kwargs["headers"] = {"Referrer-Policy": "no-referrer"}
            return super().render_to_response(context, **kwargs)

    assert serve(View, "get", user)["Referrer-Policy"] == "no-referrer"


# The list.


def test_list_names_its_columns(client: Client, token: KnownToken) -> None:
    page = Page(client.get(LIST))

    assert page.texts("thead/tr/th") == ["Name", "Token", "Created Date", "Last Used", "Action"]
    assert {th.get("scope") for th in page.all("thead/tr/th")} == {"col"}
    assert {th.get("scope") for th in page.all("tbody/tr/th")} == {"row"}
    assert page.text("caption") == "Your access tokens"


@time_machine.travel("2026-11-24 12:00:00Z", tick=False)
def test_row_shows_a_token(client: Client, user: User) -> None:
    now = timezone.now()
    used = TokenFactory.create(user=user, name="used", last_used_at=now - timedelta(hours=2))
    new = TokenFactory.create(user=user, name="new")

    rows = Page(client.get(LIST)).all("tbody/tr")
    cells = [[text(cell) for cell in row] for row in rows]
    today = "Nov. 24, 2026"
    for (name, partial, created, last_used, _action), token in zip(cells, [new, used], strict=True):
        start, end = token.partial.split("…")
        assert name == f"{token.name} No expiration"
        assert partial == f"{start}••••••••{end} starts with {start}, ends with {end}"
        assert created == today
        assert last_used == (f"{today} 2 hours ago" if token.last_used_at else "Never")


def test_bin_says_what_it_deletes(client: Client, token: KnownToken) -> None:
    page = Page(client.get(LIST))

    form = page.one("tbody/tr/td/form[@data-at-delete]")
    assert (form.get("method"), form.get("action")) == ("get", delete_url(token.pk))
    assert page.one("tbody/tr/td/form[@data-at-delete]/button").get("aria-label") == "Delete laptop"


def test_empty_list_says_so(client: Client, any_base: None) -> None:
    page = Page(client.get(LIST))

    assert not page.all("table")
    assert "You don’t have any access tokens" in page.texts("h2")
    assert page.text(f"a[@href='{CREATE}']") == "New Token"


def test_list_leads_to_a_new_token(client: Client, token: KnownToken) -> None:
    assert Page(client.get(LIST)).text(f"a[@href='{CREATE}']") == "New Token"


@pytest.mark.parametrize("has_token", [True, False])
def test_list_gives_best_practices(client: Client, user: User, has_token: bool) -> None:
    if has_token:
        TokenFactory.create(user=user)

    page = Page(client.get(LIST))
    assert "Keep your tokens safe" in page.texts("h2")
    assert page.texts("section[@aria-labelledby='at-tips-title']/ul/li") == [
        "Don’t share tokens A token works like your password. "
        "Give each person and application its own.",
        "Monitor usage Check Last Used now and then. "
        "Delete tokens you don’t recognize or no longer need.",
        "Rotate periodically Replace tokens on a schedule, and at once if one may have leaked.",
        "Store them securely Use a password manager or vault, never code, email or chat.",
    ]


def test_page_says_that_uses_are_not_recorded(
    client: Client, user: User, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"LAST_USED_RESOLUTION": None}
    now = timezone.now()
    token = TokenFactory.create(user=user, created_at=now - timedelta(days=100))

    page = Page(client.get(LIST))
    assert page.text("td[@class='at-cell-used']") == "Not recorded"
    assert "Unused" not in page.body
    assert "Monitor usage" not in page.body
    assert "Not recorded" in Page(client.get(delete_url(token.pk))).texts("dl/dd")


def test_list_has_pages_of_fifty(client: Client, user: User) -> None:
    tokens = TokenFactory.create_batch(51, user=user)

    first, second = Page(client.get(LIST)), Page(client.get(LIST, {"page": 2}))
    assert first.texts("tbody/tr/th/bdi") == [token.name for token in reversed(tokens[1:])]
    assert second.texts("tbody/tr/th/bdi") == [tokens[0].name]
    assert "Page 1 of 2" in first.body
    assert [first.one("a[@rel='next']").get("href"), second.one("a[@rel='prev']").get("href")] == [
        "?page=2",
        "?page=1",
    ]


def test_fifty_tokens_need_no_pages(client: Client, user: User) -> None:
    TokenFactory.create_batch(50, user=user)

    page = Page(client.get(LIST))
    assert len(page.all("tbody/tr")) == 50
    assert not page.all("nav[@aria-label='Pages']")


@pytest.mark.parametrize("page", ["0", "2", "-1", "x", "9" * 100, "\0"])
def test_page_that_is_not_there_is_not_found(client: Client, token: KnownToken, page: str) -> None:
    assert client.get(LIST, {"page": page}).status_code == HTTPStatus.NOT_FOUND


def test_list_costs_a_constant_number_of_queries(
    client: Client, user: User, any_base: None
) -> None:
    TokenFactory.create(user=user)
    with CaptureQueriesContext(connection) as for_one:
        client.get(LIST)

    now = timezone.now()
    Token.objects.bulk_create(
        Token(user=user, name=str(n), digest=str(n), partial="pat_0000…0000", last_used_at=now)
        for n in range(199)
    )
    with CaptureQueriesContext(connection) as for_many:
        assert len(Page(client.get(LIST)).all("tbody/tr")) == 50

    # The session, the user, the number of tokens, the tokens.
    assert len(for_one) == len(for_many) == 4


@pytest.mark.parametrize("url", ["list", "delete", "rotate"])
def test_page_does_not_select_the_digest(client: Client, token: KnownToken, url: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse(f"access_tokens:{url}", args=[] if url == "list" else [token.pk]))

    assert "digest" not in str(queries.captured_queries)


@pytest.mark.parametrize("configured", [{}, {"SCOPES": {"read": "Read", "write": "Write"}}])
def test_scopes_cost_no_query(
    client: Client, token: KnownToken, settings: Settings, configured: dict[str, Any]
) -> None:
    settings.ACCESS_TOKENS = configured

    with CaptureQueriesContext(connection) as queries:
        assert ("Full access" in Page(client.get(LIST)).body) == bool(configured)
    assert len(queries) == 4


# The form and the reveal.


def test_form_asks_for_name_and_expiration(client: Client, any_base: None) -> None:
    page = Page(client.get(CREATE))

    assert page.texts("div[@class='at-field']/label") == ["Name", "Expiration"]
    assert page.title == "New access token"
    assert page.texts("h1") == ["New access token"]
    assert "Generate token" in page.texts("button[@type='submit']")
    name = page.one("input[@name='name']")
    assert [name.get(key) for key in ("maxlength", "autocomplete")] == ["100", "off"]
    assert "autofocus" in name.attrib
    assert "The token is shown once, right after you generate it." in page.body


def test_form_preselects_ninety_days(client: Client) -> None:
    page = Page(client.get(CREATE))

    assert page.one("select[@name='expires_at']/option[@selected]").get("value") == "90"


def test_form_without_choices_asks_for_the_name_alone(client: Client, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"EXPIRY_DAYS": []}

    assert not Page(client.get(CREATE)).all("select")
    secret_of(create(client))
    assert Token.objects.get().expires_at is None


def test_form_asks_for_scopes(client: Client, settings: Settings, any_base: None) -> None:
    settings.ACCESS_TOKENS = settings.ACCESS_TOKENS | {
        "SCOPES": {"read": "Read", "write": "Write", "x": "<b>X</b>"}
    }

    page = Page(client.get(CREATE))
    assert page.texts("fieldset/legend") == ["Scopes"]
    assert page.texts("fieldset//label") == ["Read", "Write", "<b>X</b>"]
    error = Page(create(client))
    assert "Choose at least one scope." in error.texts("ul[@class='errorlist']/li")
    assert error.title == "Error: New access token"
    secret = secret_of(client.post(CREATE, {"name": "laptop", "expires_at": "", "scopes": ["x"]}))
    assert Token.objects.verify(secret).scopes == "x"


def test_token_is_created_for_the_one_who_is_logged_in(client: Client, user: User) -> None:
    other = UserFactory.create()

    create(client, user=str(other.pk), user_id=str(other.pk), digest="sha256$0", pk="7")
    token = Token.objects.get()
    assert token.user == user
    assert token.digest != "sha256$0"
    assert token.expires_at is not None


def test_secret_is_shown_once_as_text(client: Client, any_base: None) -> None:
    response = create(client)

    assert response.status_code == HTTPStatus.OK
    page = Page(response)
    code = page.one("div[@data-at-secret]/code")
    secret = text(code)
    assert Token.objects.verify(secret) == Token.objects.get()
    assert page.html.count(secret) == 1
    assert code.get("translate") == "no"
    assert code.get("spellcheck") == "false"


def test_secret_is_kept_out_of_session_replays_and_histories(client: Client) -> None:
    page = Page(create(client))

    box = page.one("div[@data-at-secret]")
    classes = {"ph-no-capture", "sentry-block", "dd-privacy-hidden", "fs-exclude", "rr-block"}
    assert classes <= set(box.attrib["class"].split())
    assert box.get("hx-history") == "false"
    assert box.get("data-turbo-temporary") == ""


def test_reveal_warns_that_it_is_the_only_one(client: Client, any_base: None) -> None:
    page = Page(create(client))

    assert page.title == "Copy your new token"
    assert page.texts("h1") == ["Copy your new token"]
    assert "This is the only time the token is shown." in page.texts("strong")
    assert "“laptop” is ready to use." in page.body
    assert page.text(f"a[@href='{LIST}'][@data-at-done]") == "Done, I’ve stored it"


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        ({}, "http://testserver/"),
        ({"API_URL": "/api/v1/"}, "http://testserver/api/v1/"),
        ({"API_URL": "https://api.example.com/"}, "https://api.example.com/"),
        ({"API_URL": "//api.example.com/"}, "http://api.example.com/"),
        ({"API_URL": "me"}, "http://testserver/api/me/"),
        ({"API_URL": reverse_lazy("me")}, "http://testserver/api/me/"),
    ],
)
def test_reveal_shows_a_command(
    client: Client, settings: Settings, configured: dict[str, Any], url: str
) -> None:
    settings.ACCESS_TOKENS = configured

    usage = rf'curl "{url}" \ -H "Authorization: Bearer $ACCESS_TOKEN"'
    assert Page(create(client)).text("pre") == usage


@pytest.mark.parametrize("url", ["/api/me/", "me", reverse_lazy("me")])
def test_command_is_for_the_site_where_it_is_mounted(
    client: Client, settings: Settings, url: Any
) -> None:
    settings.ACCESS_TOKENS = {"API_URL": url}
    # Otherwise Django keeps the prefix in the URLs of static files, for the tests that follow.
    settings.STATIC_URL = "/static/"

    with override_script_prefix("/site/"):
        response = create(client)
    assert 'curl "http://testserver/site/api/me/"' in Page(response).text("pre")


@pytest.mark.parametrize(
    ("classes", "keyword"),
    [
        ([f"{__name__}.KeyAuthentication"], "Key"),
        ([SessionAuthentication, KeyAuthentication], "Key"),
        ([SessionAuthentication], "Bearer"),
    ],
)
def test_command_has_the_keyword_of_the_site(
    client: Client, settings: Settings, classes: list[Any], keyword: str
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": classes}

    assert f'-H "Authorization: {keyword} $ACCESS_TOKEN"' in Page(create(client)).text("pre")


@time_machine.travel("2026-11-24 12:00:00Z", tick=False)
@pytest.mark.parametrize(("days", "said"), [("7", "Dec. 1, 2026"), ("", "Never")])
def test_reveal_says_when_the_token_expires(client: Client, days: str, said: str) -> None:
    assert said in Page(create(client, expires_at=days)).texts("dl/dd")


@pytest.mark.parametrize("use_tz", [True, False])
def test_pages_work_in_either_kind_of_time(
    client: Client, settings: Settings, use_tz: bool, any_base: None
) -> None:
    settings.USE_TZ = use_tz

    secret_of(create(client))
    assert Page(client.get(LIST)).texts("tbody/tr/th/bdi") == ["laptop"]
    assert Page(client.get(delete_url(Token.objects.get().pk))).all("form")


def test_second_submit_makes_no_second_token(client: Client, any_base: None) -> None:
    secret = secret_of(create(client))

    page = Page(create(client))
    assert page.title == "Error: New access token"
    assert page.texts("ul[@class='errorlist']/li") == [
        "You already have a token named “laptop”. Choose another name."
    ]
    assert page.one("input[@name='name']").get("value") == "laptop"
    assert page.one("select[@name='expires_at']/option[@selected]").get("value") == "90"
    assert secret not in page.html
    assert Token.objects.count() == 1


def test_second_submit_says_what_happened_and_what_to_do(client: Client, any_base: None) -> None:
    create(client)

    note = Page(create(client)).one("div[@role='alert']")
    assert text(note) == (
        "“laptop” was created just now, perhaps by pressing the button twice. "
        "If you didn’t see its token, delete it and generate a new one. Delete laptop"
    )
    (link,) = note.iter("a")
    page = Page(client.get(link.attrib["href"]))
    assert page.title == "Delete “laptop”?"
    assert client.post(link.attrib["href"])["Location"] == CREATE
    assert secret_of(create(client))


@pytest.mark.parametrize("column", ["created_at", "last_used_at"])
def test_name_of_an_older_or_used_token_is_simply_taken(
    client: Client, token: KnownToken, column: str
) -> None:
    Token.objects.update(**{column: timezone.now() - timedelta(minutes=1)})

    assert not Page(create(client)).all("div[@role='alert']")


def test_name_that_another_user_has_is_free(client: Client) -> None:
    TokenFactory.create(name="laptop")

    assert secret_of(create(client))


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    "not connection.features.test_db_allows_multiple_connections",
    reason="The database lives in one connection.",
)
def test_parallel_submits_make_one_token(user: User) -> None:
    client = Client()
    client.force_login(user)
    cookies = client.cookies

    def submit(_n: int) -> str:
        client = Client()
        client.cookies = cookies
        try:
            return Page(create(client)).title
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        titles = sorted(threads.map(submit, range(8)))

    assert titles == ["Copy your new token", *["Error: New access token"] * 7]
    assert Token.objects.count() == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "\t\r\n",
        "a" * 101,
        "a\0b",
        "a\x1bb",
        "a\nb",
        "a\u202eb",
        "\u200b",
        "\u2066a\u2069",
    ],
)
def test_bad_name_gets_the_form_again(client: Client, name: str) -> None:
    # HTML cannot say a control character, but the form shows again what was typed.
    page = Page(create(client, name), strict=False)

    assert page.title == "Error: New access token"
    assert page.texts("h1") == ["New access token"]
    (error,) = page.all("ul[@class='errorlist']")
    assert error.get("id") in page.one("input[@name='name']").get("aria-describedby", "").split()
    assert page.one("input[@name='name']").get("aria-invalid") == "true"
    assert not Token.objects.exists()


@pytest.mark.parametrize("days", ["8", "x", "-1"])
def test_expiration_that_is_not_offered_gets_the_form_again(client: Client, days: str) -> None:
    assert Page(create(client, expires_at=days)).title == "Error: New access token"
    assert not Token.objects.exists()


def test_user_who_is_inactive_but_logged_in_gets_no_token(
    client: Client, user: User, settings: Settings
) -> None:
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    client.force_login(user)
    User.objects.update(is_active=False)

    page = Page(create(client))
    assert page.texts("div[@role='alert']") == ["The user is inactive."]
    assert not Token.objects.exists()


# A link to a form that is filled in.


def filled(client: Client, query: str) -> tuple[str | None, list[str | None], list[str | None]]:
    """Return what the form holds for a visitor who followed a link with this query."""
    response = client.get(f"{CREATE}?{query}")
    assert response.status_code == HTTPStatus.OK
    page = Page(response)
    assert not page.all("ul[@class='errorlist']")
    assert list(page.inline_code()) == []
    assert not page.all("img")
    assert not Token.objects.exists()
    return (
        page.one("input[@name='name']").get("value"),
        [option.get("value") for option in page.all("option[@selected]")],
        [box.get("value") for box in page.all("input[@name='scopes'][@checked]")],
    )


@pytest.fixture
def with_scopes(settings: Settings) -> None:
    scopes = {"read": "Read", "write": "Write", "reports": "Run reports"}
    settings.ACCESS_TOKENS = {"SCOPES": scopes}


@pytest.mark.usefixtures("with_scopes")
@pytest.mark.parametrize(
    ("query", "name", "days", "scopes"),
    [
        ("", None, "90", ["read"]),
        ("name=CI+pipeline&days=30&scopes=write+reports", "CI pipeline", "30", WRITE_REPORTS),
        ("scopes=reports,write", None, "90", WRITE_REPORTS),
        ("name=+laptop+", "laptop", "90", ["read"]),
        # Hostile text is text.
        ("name=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", HOSTILE_NAMES[1], "90", ["read"]),
        # The last of several is meant.
        ("name=a&name=b&days=7&days=30&scopes=read&scopes=write", "b", "30", ["write"]),
        # What is impossible is ignored.
        (f"name={'a' * 10_000}", None, "90", ["read"]),
        ("name=a%00b&days=%00&scopes=%00", None, "90", ["read"]),
        ("name=%E2%80%AEgnp", None, "90", ["read"]),
        ("name=%FF%FE&scopes=%FF", "\ufffd\ufffd", "90", ["read"]),
        ("days=8", None, "90", ["read"]),
        ("days=-7", None, "90", ["read"]),
        ("days=None&scopes=None", None, "90", ["read"]),
        ("days=", None, "90", ["read"]),
        (f"days={'9' * 10_000}", None, "90", ["read"]),
        ("scopes=admin+Read+*", None, "90", ["read"]),
        ("scopes=admin+write", None, "90", ["write"]),
        ("user=1&digest=x&expires_at=7&end=1", None, "90", ["read"]),
    ],
)
def test_link_fills_the_form(
    client: Client, query: str, name: str | None, days: str, scopes: list[str]
) -> None:
    assert filled(client, query) == (name, [days], scopes)


def test_link_asks_for_no_scopes_where_the_site_has_none(client: Client) -> None:
    assert filled(client, "scopes=write") == (None, ["90"], [])


def test_link_cannot_exceed_the_limit(client: Client, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"MAX_EXPIRY_DAYS": 30}

    assert filled(client, "days=365")[1] == ["30"]


def test_sent_form_counts_and_not_its_link(client: Client) -> None:
    data = {"name": "laptop", "expires_at": ""}

    secret_of(client.post(f"{CREATE}?name=other&days=7", data))
    assert Token.objects.values_list("name", "expires_at").get() == ("laptop", None)
    page = Page(client.post(f"{CREATE}?name=other", {"name": ""}))
    assert page.title == "Error: New access token"
    assert page.one("input[@name='name']").get("value") is None


# As many tokens as the site allows.

LIMIT_REACHED = "You have reached the limit of 1 token. Delete one to make room."


@pytest.fixture
def one_at_most(settings: Settings) -> None:
    settings.ACCESS_TOKENS = settings.ACCESS_TOKENS | {"MAX_TOKENS_PER_USER": 1}


@pytest.mark.usefixtures("any_base", "one_at_most")
def test_limit_is_said_where_the_button_would_be(client: Client, user: User) -> None:
    TokenFactory.create()
    assert Page(client.get(LIST)).text(f"a[@href='{CREATE}']") == "New Token"

    TokenFactory.create(user=user)
    page = Page(client.get(LIST))
    assert page.text("p[@class='at-limit']") == LIMIT_REACHED
    assert not page.all(f"a[@href='{CREATE}']")


@pytest.mark.usefixtures("any_base", "one_at_most")
def test_limit_is_said_in_place_of_the_form(client: Client, token: KnownToken) -> None:
    Token.objects.update(created_at=timezone.now() - timedelta(hours=1))

    asked, sent = Page(client.get(CREATE)), Page(create(client, "other"))
    for page in (asked, sent):
        assert LIMIT_REACHED in page.texts("p")
        assert not page.all("input[@name='name']")
    assert not asked.all("div[@role='alert']")
    assert sent.texts("div[@role='alert']") == [LIMIT_REACHED]
    assert sent.title == "Error: New access token"
    assert Token.objects.count() == 1


@pytest.mark.usefixtures("one_at_most")
def test_second_submit_of_the_last_token_says_what_happened(client: Client) -> None:
    create(client)

    said = Page(create(client)).texts("div[@role='alert']")
    assert said[0].startswith("“laptop” was created just now")
    assert said[1] == LIMIT_REACHED


@pytest.mark.usefixtures("one_at_most")
def test_limit_is_enforced_for_the_one_who_is_logged_in(client: Client) -> None:
    assert secret_of(create(client))


@pytest.mark.usefixtures("one_at_most")
def test_token_that_is_made_at_the_same_time_counts(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowForm(TokenForm):
        def save(self, commit: bool = True) -> Token:
            if commit:
                TokenFactory.create(user=user)
            return super().save(commit)

    monkeypatch.setattr(TokenCreateView, "form_class", SlowForm)
    assert Page(create(client)).texts("div[@role='alert']") == [LIMIT_REACHED]
    assert Token.objects.count() == 1


@pytest.mark.parametrize(("limit", "queries"), [(None, 4), (1, 5)])
def test_tokens_are_counted_only_with_a_limit(
    client: Client, token: KnownToken, settings: Settings, limit: int | None, queries: int
) -> None:
    settings.ACCESS_TOKENS = {"MAX_TOKENS_PER_USER": limit}

    with CaptureQueriesContext(connection) as captured:
        client.get(LIST)
    assert len(captured) == queries


# MAY_CREATE.

MAY_NOT_CREATE = "You may not create access tokens."


def is_somebody_else(user: User) -> bool:
    return user.get_username() != "ada"


@pytest.mark.usefixtures("any_base")
@pytest.mark.parametrize("rule", [is_somebody_else, "tests.test_views.is_somebody_else"])
def test_user_who_may_not_create_is_told_so_and_stopped(
    client: Client, settings: Settings, rule: Any
) -> None:
    settings.ACCESS_TOKENS = settings.ACCESS_TOKENS | {"MAY_CREATE": rule}

    page = Page(client.get(LIST))
    assert page.text("p[@class='at-limit']") == MAY_NOT_CREATE
    assert not page.all(f"a[@href='{CREATE}']")
    for response, status in [(client.get(CREATE), 200), (create(client), 403)]:
        assert response.status_code == status
        assert MAY_NOT_CREATE in Page(response).texts("p")
        assert not Page(response).all("input[@name='name']")
    assert not Token.objects.exists()


def test_rule_does_not_bind_others_and_no_rotation(
    client: Client, token: KnownToken, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"MAY_CREATE": is_somebody_else}

    assert secret_of(client.post(rotate_url(token.pk)))
    client.force_login(UserFactory.create())
    assert secret_of(create(client))


# Deleting.


def test_delete_is_confirmed_first(client: Client, token: KnownToken, any_base: None) -> None:
    page = Page(client.get(delete_url(token.pk)))

    assert page.title == "Delete “laptop”?"
    assert page.texts("h1") == ["Delete “laptop”?"]
    assert (
        "Deleting this token revokes access to any API endpoint associated with it. "
        "Scripts and applications that still use it will stop working immediately. "
        "You can’t undo this." in page.texts("p")
    )
    assert "Delete token" in page.texts("button[@type='submit']")
    assert page.text(f"a[@href='{LIST}'][@autofocus]") == "Cancel"
    assert Token.objects.get() == token


def test_token_is_deleted(client: Client, token: KnownToken, any_base: None) -> None:
    kept = TokenFactory.create(user=token.user)

    response = client.post(delete_url(token.pk), follow=True)
    assert response.redirect_chain == [(LIST, HTTPStatus.FOUND)]
    assert Token.objects.get() == kept
    assert (
        "Token “laptop” was deleted. It no longer gives access to the API." in Page(response).body
    )


def test_second_delete_says_that_it_was_deleted(
    client: Client, token: KnownToken, any_base: None
) -> None:
    client.post(delete_url(token.pk), follow=True)

    response = client.post(delete_url(token.pk), follow=True)
    assert response.redirect_chain == [(LIST, HTTPStatus.FOUND)]
    assert "This token was already deleted." in Page(response).body


def test_second_delete_leads_back_to_where_it_was_asked(client: Client) -> None:
    assert client.post(delete_url(1), {"next": "/?tab=tokens"})["Location"] == "/?tab=tokens"


@pytest.mark.parametrize("query", ["?next=//evil.example", "?next=https://evil.example"])
def test_delete_leads_nowhere_else(client: Client, token: KnownToken, query: str) -> None:
    response = client.post(delete_url(token.pk) + query, {"next": "//evil.example"})

    assert response["Location"] == LIST


@pytest.mark.parametrize("method", ["get", "post"])
def test_delete_leads_back_to_where_it_was_asked(
    client: Client, token: KnownToken, method: str
) -> None:
    url = delete_url(token.pk)
    page = Page(client.get(url, {"next": "/?tab=tokens"}))
    assert page.text("a[@href='/?tab=tokens'][@autofocus]") == "Cancel"

    response = (
        client.post(f"{url}?next=/%3Ftab=tokens")
        if method == "get"
        else client.post(url, {"next": "/?tab=tokens"})
    )
    assert response["Location"] == "/?tab=tokens"


# In a namespace of the site, or below a path with parameters.


class SiteWithNamespaces:
    app: list[Any] = [
        path("tokens/", include("access_tokens.urls")),
        path("more/", include("access_tokens.urls", namespace="more")),
        path("profile/", TableView.as_view(), name="profile"),
    ]
    urlpatterns = [
        path("site/", include((app, "site"), namespace="acme")),
        path("login/", Nowhere.as_view(), name="login"),
    ]


class SiteWithParameters:
    team: list[Any] = [
        path("tokens/", include("access_tokens.urls")),
        path("members/<int:member>/", TableView.as_view()),
    ]
    urlpatterns = [
        path("teams/<slug:team>/", include(team)),
        path("login/", Nowhere.as_view(), name="login"),
    ]


class SiteWithBoth:
    app: list[Any] = [path("teams/<slug:team>/", include(SiteWithParameters.team))]
    urlpatterns = [
        path("<uuid:number>/", include((app, "site"))),
        path("login/", Nowhere.as_view(), name="login"),
    ]


UUID = "12345678-1234-4321-8765-123456789abc"


@pytest.mark.parametrize(
    ("urls", "root"),
    [
        (SiteWithNamespaces, "/site/tokens/"),
        (SiteWithNamespaces, "/site/more/"),
        (SiteWithParameters, "/teams/blue/tokens/"),
        (SiteWithBoth, f"/{UUID}/teams/blue/tokens/"),
    ],
)
def test_pages_work_wherever_they_are_included(
    client: Client, token: KnownToken, settings: Settings, urls: type, root: str
) -> None:
    settings.ROOT_URLCONF = urls
    settings.ACCESS_TOKENS = {}
    delete = f"{root}{token.pk}/delete/"

    page = Page(client.get(root))
    assert page.one("tbody/tr/td/form[@data-at-delete]").get("action") == delete
    assert page.all(f"form[@action='{root}{token.pk}/rotate/']")
    assert page.text(f"a[@href='{root}new/']") == "New Token"
    assert Page(client.get(f"{root}new/")).text(f"a[@href='{root}'][@class='at-btn']") == "Cancel"
    reveal = Page(client.post(f"{root}new/", {"name": "server", "expires_at": ""}))
    assert reveal.one("a[@data-at-done]").get("href") == root
    assert Page(client.get(delete)).text("a[@autofocus]") == "Cancel"
    assert client.post(delete)["Location"] == root


@pytest.mark.parametrize(
    ("urls", "url", "root"),
    [
        (SiteWithNamespaces, "/site/profile/", "/site/tokens/"),
        (SiteWithParameters, "/teams/blue/members/7/", "/teams/blue/tokens/"),
        (SiteWithBoth, f"/{UUID}/teams/blue/members/7/", f"/{UUID}/teams/blue/tokens/"),
    ],
)
def test_table_works_beside_the_pages(
    client: Client, token: KnownToken, settings: Settings, urls: type, url: str, root: str
) -> None:
    settings.ROOT_URLCONF = urls

    page = Page(client.get(url))
    delete = page.one("tbody/tr/td/form[@data-at-delete]").get("action")
    assert delete == f"{root}{token.pk}/delete/"
    assert page.text(f"a[@href='{root}']") == "Manage access tokens"


def test_table_shows_nothing_where_the_pages_are_not_included(
    client: Client, token: KnownToken, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROOT_URLCONF = SiteWithoutPages

    assert client.get("/").content.strip() == b"<!DOCTYPE html><title>Profile</title>"
    assert "can't be reversed from here" in caplog.text


# Every page.


def pages(client: Client, token: KnownToken) -> dict[str, Page]:
    return {
        "list": Page(client.get(LIST)),
        "form": Page(client.get(CREATE)),
        "error": Page(create(client, "")),
        "reveal": Page(create(client, "another")),
        "rotation": Page(client.get(rotate_url(token.pk))),
        "rotated": Page(client.post(rotate_url(token.pk))),
        "list of one rotated": Page(client.get(LIST)),
        "confirmation": Page(client.get(delete_url(token.pk))),
    }


def test_page_is_accessible_html(client: Client, token: KnownToken, any_base: None) -> None:
    for name, page in pages(client, token).items():
        assert len(page.all("h1")) == 1, name
        assert all(button.get("type") in {"submit", "button"} for button in page.all("button")), (
            name
        )
        ids = [element.attrib["id"] for element in page.all("*[@id]")]
        assert len(ids) == len(set(ids)), name
        for element in page.all("*[@aria-labelledby]"):
            assert element.attrib["aria-labelledby"] in ids, name
        for element in page.all("*[@aria-describedby]"):
            assert set(element.attrib["aria-describedby"].split()) <= set(ids), name
        labels = {label.get("for") for label in page.all("label")}
        for field in [*page.all("input"), *page.all("select")]:
            assert field.get("type") == "hidden" or field.get("id") in labels, name


def test_page_has_no_inline_code(client: Client, token: KnownToken, any_base: None) -> None:
    for name, page in pages(client, token).items():
        assert list(page.inline_code()) == [], name


def test_page_loads_nothing_of_others(client: Client, token: KnownToken, any_base: None) -> None:
    for name, page in pages(client, token).items():
        sources = [e.get("src") or e.get("href") for e in page.all("script") + page.all("link")]
        assert all(str(source).startswith("/static/") for source in sources), name


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_name_is_text(client: Client, name: str, any_base: None) -> None:
    reveal = Page(create(client, name))
    token = Token.objects.get(name=name)
    confirmation = Page(client.get(delete_url(token.pk)))
    rotation = Page(client.get(rotate_url(token.pk)))
    rotated = Page(client.post(rotate_url(token.pk)))
    again = Page(create(client, name))
    listed = Page(client.get(LIST))
    deleted = Page(client.post(delete_url(token.pk), follow=True))

    for page in (reveal, confirmation, rotation, rotated, again, listed, deleted):
        assert f"“{name}”" in page.body or name in page.texts("tbody/tr/th/bdi")
        assert list(page.inline_code()) == []
        assert not page.all("img")
    assert confirmation.title == f"Delete “{name}”?"
    assert (
        listed.one("tbody/tr/td/form[@data-at-delete]/button").get("aria-label") == f"Delete {name}"
    )
    assert again.one("input[@name='name']").get("value") == name


def test_page_works_without_messages(
    client: Client, token: KnownToken, settings: Settings, any_base: None
) -> None:
    settings.INSTALLED_APPS = [
        app
        for app in settings.INSTALLED_APPS
        if app not in {"django.contrib.messages", "django.contrib.admin"}
    ]
    settings.ROOT_URLCONF = SiteWithoutAdmin
    settings.MIDDLEWARE = MIDDLEWARE
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    ]

    assert list(pages(client, token))
    response = client.post(delete_url(token.pk), follow=True)
    assert Page(response).texts("tbody/tr/th/bdi") == ["another"]


class SiteWithoutAdmin:
    urlpatterns = [
        path("", Nowhere.as_view(), name="home"),
        path("account/login/", Nowhere.as_view(), name="login"),
        path("account/logout/", Nowhere.as_view(), name="logout"),
        path("account/tokens/", include("access_tokens.urls")),
        path("api/", Nowhere.as_view(), name="api"),
    ]


# Subclasses.


def serve(view: type[View], method: str, user: User, **data: Any) -> Any:
    pk = data.pop("pk", None)
    request: HttpRequest = getattr(RequestFactory(), method)("/", data)
    request.user = user
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # as the test client sets it
    response: Any = view.as_view()(request, **({"pk": pk} if pk else {}))
    return response.render() if hasattr(response, "render") else response


def test_list_view_can_be_subclassed(user: User) -> None:
    class View(TokenListView):
        paginate_by = 1
        page_title = "Keys"

    TokenFactory.create_batch(2, user=user)
    page = Page(serve(View, "get", user))
    assert len(page.all("tbody/tr")) == 1
    assert page.title == "Keys"


def test_create_view_can_be_subclassed(user: User) -> None:
    class Form(TokenForm):
        def clean_name(self) -> str:
            return f"ci-{self.cleaned_data['name']}"

    class View(TokenCreateView):
        form_class = Form
        created_page_title = _("Your key")

        def get_page_title(self) -> str:
            return "New key"

    assert Page(serve(View, "get", user)).title == "New key"
    assert Page(serve(View, "post", user, name="")).title == "Error: New key"
    assert Page(serve(View, "post", user, name="build")).title == "Your key"
    assert Token.objects.get().name == "ci-build"


def test_delete_view_can_be_subclassed(token: KnownToken) -> None:
    class View(TokenDeleteView):
        success_url = reverse_lazy("home")

        def get_page_title(self) -> str:
            return f"Revoke {self.object.name}?"

    assert Page(serve(View, "get", token.user, pk=token.pk)).title == "Revoke laptop?"
    assert serve(View, "post", token.user, pk=token.pk)["Location"] == "/"
    assert not Token.objects.exists()


def test_success_url_of_the_delete_view_has_the_fields_of_the_token(token: KnownToken) -> None:
    class View(TokenDeleteView):
        success_url = "/gone/{name}/"

    assert serve(View, "post", token.user, pk=token.pk)["Location"] == "/gone/laptop/"
    # A second time, the token has no fields.
    assert serve(View, "post", token.user, pk=token.pk)["Location"] == LIST


def test_success_url_of_the_delete_view_has_no_digest(token: KnownToken) -> None:
    class View(TokenDeleteView):
        success_url = "/gone/{digest}/"

    with pytest.raises(KeyError, match="digest"):
        serve(View, "post", token.user, pk=token.pk)
    assert Token.objects.exists()


def test_view_needs_a_user_who_is_logged_in(token: KnownToken) -> None:
    for view in (TokenListView, TokenCreateView, TokenDeleteView):
        response = serve(view, "post", AnonymousUser(), pk=token.pk)  # type: ignore[arg-type]  # not a user who is logged in
        assert response.status_code == HTTPStatus.FOUND
