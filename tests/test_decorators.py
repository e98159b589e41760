from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import DatabaseError, connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.authentication import SessionAuthentication

from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.crypto import generate_secret
from access_tokens.decorators import access_token_required, required_scopes
from access_tokens.exceptions import Reason, TokenRejected
from access_tokens.models import Token

from .api import WhoView, call_asgi, call_wsgi
from .clients import bearer
from .factories import KnownToken, TokenFactory, UserFactory
from .test_authentication import FOREIGN, INVALID, MALFORMED, params, statements
from .test_scopes import SCOPES

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_decorators")]

NOW = datetime(2030, 1, 2, 3, 4, 15, tzinfo=UTC)


def answer(request: Any) -> JsonResponse:
    assert isinstance(request.access_token, Token)
    return JsonResponse({"user": request.user.username, "token": request.access_token.name})


# The kinds of views.


def who(request: HttpRequest) -> HttpResponse:
    return answer(request)


async def async_who(request: Any) -> HttpResponse:
    assert await request.auser() == request.user
    return answer(request)


class PlainView(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(request)

    post = get


class AsyncPlainView(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return answer(request)

    post = get


dispatch = method_decorator(access_token_required, name="dispatch")


@dispatch
class DispatchView(PlainView):
    pass


@dispatch
class AsyncDispatchView(AsyncPlainView):
    pass


class AsyncDefView(AsyncPlainView):
    @method_decorator(access_token_required)
    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # as Django allows
        response: Any = super().dispatch(request)
        return await response


VIEWS: dict[str, Any] = {
    "function": access_token_required(who),
    "async": access_token_required(async_who),
    "class": access_token_required(PlainView.as_view()),
    "async-class": access_token_required(AsyncPlainView.as_view()),
    "dispatch": DispatchView.as_view(),
    "async-dispatch": AsyncDispatchView.as_view(),
    "async-def": AsyncDefView.as_view(),
}

# Other views.


def failing(request: Any) -> HttpResponse:
    User.objects.create(username="rolled back")
    raise RuntimeError("No.")


async def async_failing(request: Any) -> HttpResponse:
    raise RuntimeError("No.")


def refusing(request: Any) -> HttpResponse:
    raise TokenRejected(Reason.UNKNOWN)


class DrfView(WhoView):
    authentication_classes = [AccessTokenAuthentication, SessionAuthentication]


@access_token_required(scopes=["read", "reports"])
def reports(request: Any) -> HttpResponse:
    return answer(request)


@access_token_required(scopes={"GET": ["reports"], "POST": []})
async def by_method(request: Any) -> HttpResponse:
    return answer(request)


class DrfReportsView(DrfView):
    required_scopes = ["read", "reports"]


@access_token_required(scopes=[])
def other_site(request: Any) -> HttpResponse:
    return answer(request)


urlpatterns = [
    *(path(f"{name}/", view) for name, view in VIEWS.items()),
    path("drf/", DrfView.as_view()),
    path("drf-reports/", DrfReportsView.as_view()),
    path("reports/", reports),
    path("by-method/", by_method),
    path("failing/", access_token_required(failing)),
    path("async-failing/", access_token_required(async_failing)),
    path("refusing/", access_token_required(refusing)),
    path("post-inside/", access_token_required(require_POST(who))),
    path("post-outside/", require_POST(access_token_required(who))),
    path("cached/", never_cache(access_token_required(who))),
    path("login-inside/", access_token_required(login_required(who))),
    path("async-login-inside/", access_token_required(login_required(async_who))),
    path("login-outside/", login_required(access_token_required(who))),
    path("csrf-inside/", access_token_required(csrf_protect(who))),
    path("csrf-outside/", csrf_protect(access_token_required(who))),
    path("undecorated/", who),
]


@pytest.fixture(autouse=True)
def _log_in_page(settings: Settings) -> None:
    settings.LOGIN_URL = "/log-in/"


each_view = pytest.mark.parametrize("url", [f"/{name}/" for name in VIEWS])
sync_and_async = pytest.mark.parametrize("url", ["/function/", "/async/"])


def call(url: str, header: str | None = None, method: str = "get", **extra: Any) -> Any:
    """Send a request with this header, as a WSGI server hands it on."""
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    if header is not None:
        extra["HTTP_AUTHORIZATION"] = header
    return client.generic(method.upper(), url, **extra)


def facts(response: Any) -> tuple[Any, ...]:
    """Return what a client sees of a refusal."""
    return response.status_code, response.json(), response.headers.get("WWW-Authenticate")


# Who is let in.


@each_view
@pytest.mark.parametrize("method", ["get", "post"])
def test_token_gives_access_to_its_owner_and_needs_no_csrf_token(
    token: KnownToken, url: str, method: str
) -> None:
    response = call(url, bearer(token), method)

    assert response.status_code == 200
    assert response.json() == {"user": "ada", "token": "laptop"}
    token.refresh_from_db()
    assert token.last_used_at


@each_view
def test_token_gives_access_under_asgi(token: KnownToken, url: str) -> None:
    response = async_to_sync(AsyncClient().get)(url, headers={"authorization": bearer(token)})

    assert response.json() == {"user": "ada", "token": "laptop"}


@each_view
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("has_csrf_token", [True, False])
def test_session_never_gives_access(
    user: User, url: str, method: str, has_csrf_token: bool
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    extra = {}
    if has_csrf_token:
        client.cookies["csrftoken"] = extra["HTTP_X_CSRFTOKEN"] = "a" * 32

    response = getattr(client, method)(url, **extra)

    assert facts(response) == facts(call("/drf/"))


@each_view
def test_token_wins_over_a_session_and_leaves_it_alone(token: KnownToken, url: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory.create(username="mallory"))
    sessions = list(Session.objects.values())

    response = client.post(url, HTTP_AUTHORIZATION=bearer(token))

    assert response.json()["user"] == "ada"
    assert not response.cookies
    assert list(Session.objects.values()) == sessions
    assert client.post(url, HTTP_AUTHORIZATION="Bearer x").status_code == 401


# The same answers as those of Django REST framework.


@pytest.mark.parametrize("header", [None, *params(MALFORMED | FOREIGN)])
def test_header_is_refused_as_by_drf_without_a_query(
    token: KnownToken, header: str | None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    header = header and header.format(token.secret)
    with django_assert_num_queries(0):
        refused = call("/function/", header, "post")

    assert refused.status_code == 401
    assert facts(refused) == facts(call("/drf/", header, "post"))


@each_view
@pytest.mark.parametrize("state", ["unknown", "expired", "inactive"])
def test_token_that_gives_no_access_is_refused_as_by_drf(
    token: KnownToken, url: str, state: str
) -> None:
    if state == "unknown":
        token.delete()
    elif state == "expired":
        Token.objects.update(expires_at=NOW.replace(year=2020))
    else:
        User.objects.update(is_active=False)

    refused = call(url, bearer(token))

    assert facts(refused) == (401, {"detail": "Invalid access token."}, INVALID)
    assert facts(refused) == facts(call("/drf/", bearer(token)))


@pytest.mark.parametrize("header", [None, "Bearer x"])
def test_refusal_is_in_the_language_of_the_request(header: str | None) -> None:
    refused = call("/function/", header, HTTP_ACCEPT_LANGUAGE="de")

    assert facts(refused) == facts(call("/drf/", header, HTTP_ACCEPT_LANGUAGE="de"))
    assert refused.json() != call("/function/", header).json()


@pytest.fixture
def scopes(settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": SCOPES}


@pytest.mark.usefixtures("scopes")
@pytest.mark.parametrize(
    ("method", "url", "enough", "too_little"),
    [
        ("GET", "/function/", ["read"], ["reports"]),
        ("GET", "/async/", ["write"], ["reports"]),
        ("POST", "/async-dispatch/", ["write"], ["read"]),
        ("DELETE", "/function/", ["write"], ["read"]),
        ("GET", "/reports/", ["read", "reports"], ["reports"]),
        ("GET", "/by-method/", ["reports"], ["write"]),
        ("POST", "/by-method/", ["reports"], None),
        ("PUT", "/by-method/", ["write"], ["reports"]),
    ],
)
def test_view_needs_its_scopes(
    user: User, method: str, url: str, enough: list[str], too_little: list[str] | None
) -> None:
    def status(scopes: list[str] | None) -> int:
        token = TokenFactory.create(user=user, scopes=scopes)
        return int(call(url, bearer(token), method).status_code)

    assert (status(enough), status(None)) == (200, 200)
    if too_little:
        assert status(too_little) == 403


@pytest.mark.usefixtures("scopes")
def test_missing_scope_is_refused_as_by_drf_and_the_use_recorded(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "access_tokens")
    token = TokenFactory.create(user=user, scopes=["reports"])

    refused = call("/reports/", bearer(token))

    assert refused.status_code == 403
    assert f"Token {token.pk} of user {user.pk} lacks the scope read." in caplog.messages
    assert facts(refused) == facts(call("/drf-reports/", bearer(token)))
    token.refresh_from_db()
    assert token.last_used_at


@sync_and_async
@pytest.mark.parametrize("secret", ["", "x", None])
def test_every_answer_varies_on_the_header(token: KnownToken, url: str, secret: str | None) -> None:
    response = call(url, f"Bearer {token.secret if secret is None else secret}")

    assert "Authorization" in response["Vary"]


# What it costs, and when the use is written.


@sync_and_async
def test_request_costs_a_select_and_an_update(token: KnownToken, url: str) -> None:
    with time_machine.travel(NOW, tick=False):
        for expected in (["SELECT", "UPDATE"], ["SELECT"]):
            with CaptureQueriesContext(connection) as context:
                call(url, bearer(token))
            assert statements(context) == expected


def by_wsgi(url: str, token: KnownToken) -> int | None:
    return call_wsgi(url, bearer(token))


def by_asgi(url: str, token: KnownToken) -> int | None:
    return call_asgi(url, bearer(token).encode())[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server", [by_wsgi, by_asgi])
@pytest.mark.parametrize(
    ("url", "atomic"),
    [
        ("/failing/", True),
        ("/failing/", False),
        ("/async-failing/", False),  # Django refuses async views with ATOMIC_REQUESTS.
        ("/function/", True),
        ("/dispatch/", True),
        ("/async/", False),
        ("/async-dispatch/", False),
    ],
)
def test_use_is_recorded_also_if_the_view_is_rolled_back(
    token: KnownToken,
    monkeypatch: pytest.MonkeyPatch,
    server: Callable[[str, KnownToken], int | None],
    url: str,
    atomic: bool,
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)

    assert server(url, token) == (500 if "failing" in url else 200)

    stays = url == "/failing/" and not atomic
    assert User.objects.filter(username="rolled back").exists() == stays
    token.refresh_from_db()
    assert token.last_used_at


# Beside other decorators and middleware.


def test_decorated_view_keeps_its_name_and_kind() -> None:
    for name, view in VIEWS.items():
        is_async = name.startswith("async")
        assert iscoroutinefunction(view) == is_async, name
    assert VIEWS["function"].__name__ == "who"
    assert VIEWS["class"].view_class is PlainView


@pytest.mark.parametrize("url", ["/post-inside/", "/post-outside/", "/csrf-outside/"])
def test_order_of_decorators_does_not_matter(token: KnownToken, url: str) -> None:
    assert call(url, bearer(token), "post").status_code == 200
    assert call(url, None, "post").status_code == 401


def test_view_is_asked_for_its_methods_after_the_token(token: KnownToken) -> None:
    assert call("/post-inside/").status_code == 401
    assert call("/post-inside/", bearer(token)).status_code == 405
    assert call("/post-outside/").status_code == 405


def test_answer_of_the_view_passes_through_other_decorators(token: KnownToken) -> None:
    assert "no-store" in call("/cached/", bearer(token))["Cache-Control"]
    assert "no-store" in call("/cached/")["Cache-Control"]


def test_view_may_ask_for_a_csrf_token_of_its_own(token: KnownToken) -> None:
    assert call("/csrf-inside/", bearer(token), "post").status_code == 403


@pytest.mark.parametrize("url", ["/login-inside/", "/async-login-inside/"])
def test_owner_counts_as_logged_in_inside_the_view(token: KnownToken, url: str) -> None:
    assert call(url, bearer(token)).status_code == 200


def test_token_is_no_session_for_a_decorator_around(token: KnownToken) -> None:
    assert call("/login-outside/", bearer(token)).status_code == 302


@pytest.fixture
def login_required_everywhere(settings: Settings) -> None:
    middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]


@pytest.mark.usefixtures("login_required_everywhere")
@pytest.mark.parametrize("url", [*(f"/{name}/" for name in VIEWS), "/post-outside/", "/drf/"])
def test_token_needs_no_session_with_the_login_required_middleware(
    token: KnownToken, url: str
) -> None:
    assert call(url, bearer(token), "post").status_code == 200
    assert call(url, None, "post").status_code == 401
    assert call("/undecorated/", bearer(token)).status_code == 302


def test_class_is_not_decorated_by_itself() -> None:
    with pytest.raises(TypeError, match="method_decorator"):
        access_token_required(PlainView)


def test_method_in_lower_case_is_not_ignored() -> None:
    with pytest.raises(ValueError, match="upper case"):
        access_token_required(scopes={"GET": [], "post": ["reports"]})


def test_rejection_that_the_view_raises_is_its_own(token: KnownToken) -> None:
    with pytest.raises(TokenRejected):
        Client().get("/refusing/", HTTP_AUTHORIZATION=bearer(token))


# Too many of them.


@pytest.fixture
def throttled(settings: Settings) -> Iterator[None]:
    settings.ACCESS_TOKENS = {"REJECTION_RATE": "2/min"}
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield
    cache.clear()


@pytest.mark.usefixtures("throttled")
@pytest.mark.parametrize("url", ["/function/", "/async/", "/drf/"])
def test_address_that_sends_too_many_bad_tokens_is_told_to_wait(
    token: KnownToken, url: str
) -> None:
    bad = TokenFactory.create()
    bad.delete()

    assert [call(url, bearer(bad)).status_code for _ in range(4)] == [401, 401, 429, 429]
    throttled = call(url, bearer(bad))
    assert throttled["Retry-After"] == "45"
    assert list(throttled.json()) == ["detail"]
    # Others behind the same address go on, and so does another address.
    assert call(url, bearer(token)).status_code == 200
    assert call(url, bearer(bad), REMOTE_ADDR="192.0.2.7").status_code == 401
    # These cost nothing, so they aren't counted.
    assert call(url, "Bearer x").status_code == 401
    assert call(url).status_code == 401


@pytest.mark.usefixtures("throttled")
def test_code_that_verifies_learns_how_long_to_wait(user: User, rf: RequestFactory) -> None:
    def retry_after(request: HttpRequest | None) -> int | None:
        with pytest.raises(TokenRejected) as caught:
            Token.objects.verify(generate_secret("pat"), request=request)
        return caught.value.retry_after

    assert [retry_after(rf.get("/")) for _ in range(3)] == [None, None, 45]
    assert retry_after(None) is None


@pytest.mark.usefixtures("throttled")
@pytest.mark.parametrize("url", ["/function/", "/drf/"])
def test_cache_that_is_down_does_not_change_an_answer(
    settings: Settings, token: KnownToken, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.test_throttling.BrokenCache"}}
    with_good_token = call(url, bearer(token)).status_code
    assert (with_good_token, caplog.messages) == (200, [])

    secret = generate_secret("pat")
    assert [call(url, f"Bearer {secret}").status_code for _ in range(4)] == [401] * 4
    assert "A request was not counted by its address: ConnectionError." in caplog.messages


# Error reports.


def break_query(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    return execute("SELECT nothing FROM nowhere", None, many, context)


@each_view
def test_no_frame_holds_the_secret_when_the_database_fails(token: KnownToken, url: str) -> None:
    with connection.execute_wrapper(break_query), pytest.raises(DatabaseError) as caught:
        Client().get(url, HTTP_AUTHORIZATION=bearer(token))

    frames = [entry.frame for entry in caught.traceback]
    names = [frame.code.name for frame in frames]
    of_view = frames[names.index("refusal") - 1 :]
    assert {"refusal", "authenticate", "_verify"} <= {frame.code.name for frame in of_view}
    for frame in of_view:
        assert token.secret not in str(frame.f_locals)


# The decorator of function views of Django REST framework is tested with the scopes.


def test_required_scopes_refuses_a_plain_view() -> None:
    with pytest.raises(TypeError, match="above @api_view"):
        required_scopes(["reports"])(VIEWS["function"])


def test_plain_request_is_authenticated(token: KnownToken, rf: RequestFactory) -> None:
    request = rf.get("/", HTTP_AUTHORIZATION=bearer(token))

    assert VIEWS["function"](request).status_code == 200
