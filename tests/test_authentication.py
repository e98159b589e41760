import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.log import AdminEmailHandler
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from access_tokens import crypto
from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.exceptions import Reason
from access_tokens.headers import split_header
from access_tokens.models import Token
from access_tokens.signals import token_rejected

from .api import WhoView, call_asgi, call_live_server
from .clients import bearer
from .docs import ROOT
from .factories import KnownToken, TokenFactory, UserFactory
from .processes import run_python

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as TestResponse

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api")]

NOW = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
BARE = 'Bearer realm="api"'
INVALID = 'Bearer realm="api", error="invalid_token"'

# Of RFC 9110, 5.6 and 11.3, without what a sender must not send.
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PARAMETER = rf'({TOKEN})=({TOKEN}|"(?:[ !#-\[\]-~]|\\[ !-~])*")'
CHALLENGE = re.compile(rf"({TOKEN}) ({PARAMETER}(?:, {PARAMETER})*)")

MALFORMED = {
    "scheme alone": "Bearer",
    "scheme and space": "Bearer ",
    "tab": "Bearer\t{}",
    "space and tab": "Bearer \t{}",
    "no-break space": "Bearer\xa0{}",
    "vertical tab": "Bearer\v{}",
    "form feed": "Bearer\f{}",
    "line feed": "Bearer\n{}",
    "folded line": "Bearer\r\n {}",
    "comma": "Bearer,{}",
    "colon": "Bearer:{}",
    "twice": "Bearer {0},Bearer {0}",
    "twice with space": "Bearer {0}, Bearer {0}",
    "first of two": "Bearer {}, Bearer x",
    "second of two": "Bearer x, Bearer {}",
    "first of two schemes": "Bearer {}, Basic eDp4",
    "second part": "Bearer {} x",
    "quoted": 'Bearer "{}"',
    "parameter": "Bearer token={}",
    "padding": "Bearer {}=",
    "NUL alone": "Bearer \0",
    "NUL before": "Bearer \0{}",
    "NUL after": "Bearer {}\0",
    "NUL instead of space": "Bearer\0{}",
    "line feed after": "Bearer {}\n",
    "no-break space after": "Bearer {}\xa0",
    "byte 0xFF": "Bearer {}\xff",
    "byte 0xFF alone": "Bearer \xff",
    "above latin-1": "Bearer {}\u0100",
    "full-width digit": "Bearer \uff11{}",
    "lone surrogate": "Bearer {}\ud800",
    "lone surrogate alone": "Bearer \udcff",
    "1 MiB of letters": "Bearer " + "a" * 2**20,
    "1 MiB of spaces": "Bearer" + " " * 2**20 + "a",
    "8 MiB of letters": "Bearer pat_" + "a" * 2**23,
}
FOREIGN = {
    "empty": "",
    "spaces": "   ",
    "secret alone": "{}",
    "longer word": "Bearerx {}",
    "shorter word": "Bear {}",
    "other first letter": "XBearer {}",
    "hyphenated word": "Bearer-x {}",
    "Basic": "Basic {}",
    "NUL first": "\0Bearer {}",
    "no-break space first": "\xa0Bearer {}",
    "lone surrogate first": "\ud800Bearer {}",
    "1 MiB": "a" * 2**20,
}


def params(table: dict[str, str]) -> list[Any]:
    return [pytest.param(value, id=name) for name, value in table.items()]


def get(path: str, header: str, **extra: Any) -> "TestResponse":
    """Call the API, with the header as a WSGI server hands it on."""
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    return client.get(path, HTTP_AUTHORIZATION=header, **extra)


def challenge(response: "TestResponse") -> str:
    return response["WWW-Authenticate"]


def parse_challenge(value: str) -> tuple[str, dict[str, str]]:
    match = CHALLENGE.fullmatch(value)
    assert match, value
    return match[1], {name: text.strip('"') for name, text in re.findall(PARAMETER, match[2])}


def statements(context: CaptureQueriesContext) -> list[str]:
    """Return the first words of the queries that are not about a transaction."""
    words = [query["sql"].split()[0] for query in context.captured_queries]
    return [word for word in words if word in {"SELECT", "INSERT", "UPDATE", "DELETE"}]


# The header.


@pytest.mark.parametrize(
    "header",
    ["Bearer {}", "bearer {}", "BEARER {}", "bEaReR {}", "Bearer    {}", " \tBearer {}\t "],
)
def test_token_gives_access(token: KnownToken, header: str) -> None:
    response = get("/who/", header.format(token.secret))

    assert response.status_code == 200
    assert response.json() == {"user": "ada", "token": "laptop"}


@pytest.mark.parametrize("header", params(MALFORMED))
@pytest.mark.parametrize("path", ["/who/", "/open/"])
def test_malformed_header_is_refused_without_a_query(
    token: KnownToken,
    django_assert_num_queries: DjangoAssertNumQueries,
    path: str,
    header: str,
) -> None:
    with django_assert_num_queries(0):
        response = get(path, header.format(token.secret))

    assert response.status_code == 401
    assert challenge(response) == INVALID


@pytest.mark.parametrize("header", params(FOREIGN))
def test_other_header_is_not_ours(
    token: KnownToken, django_assert_num_queries: DjangoAssertNumQueries, header: str
) -> None:
    header = header.format(token.secret)
    with django_assert_num_queries(0):
        refused = get("/who/", header)
        served = get("/open/", header)

    assert (refused.status_code, challenge(refused)) == (401, BARE)
    assert (served.status_code, served.json()["user"]) == (200, "")


def test_request_without_a_header_is_anonymous(client: Client) -> None:
    refused = client.get("/who/")

    assert (refused.status_code, challenge(refused)) == (401, BARE)
    assert client.get("/open/").json() == {"user": "", "token": None}


def test_subclass_changes_the_keyword(token: KnownToken) -> None:
    refused = get("/keyword/", bearer(token))

    assert get("/keyword/", f"tokeN {token.secret}").status_code == 200
    assert (refused.status_code, challenge(refused)) == (401, 'Token realm="api"')
    assert challenge(get("/keyword/", "Token x")) == 'Token realm="api", error="invalid_token"'


def test_lookalike_of_the_keyword_is_another_scheme(token: KnownToken) -> None:
    header = f"To\N{KELVIN SIGN}en {token.secret}"
    assert "to\N{KELVIN SIGN}en".lower() == "token"

    assert challenge(get("/keyword/", header)) == 'Token realm="api"'


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(str.swapcase, id="case"),
        pytest.param(lambda secret: secret[:-1], id="truncated"),
        pytest.param(lambda secret: secret[1:], id="beheaded"),
        pytest.param(lambda secret: secret + "0", id="longer"),
        pytest.param(lambda secret: secret[:10] + "é" + secret[11:], id="accent"),
        pytest.param(
            lambda secret: secret[:10] + ("b" if secret[10] == "a" else "a") + secret[11:],
            id="mistyped",
        ),
    ],
)
def test_mistyped_secret_is_refused_without_a_query(
    token: KnownToken,
    django_assert_num_queries: DjangoAssertNumQueries,
    change: Callable[[str], str],
) -> None:
    with django_assert_num_queries(0):
        response = get("/who/", f"Bearer {change(str(token.secret))}")

    assert response.status_code == 401


def test_no_collation_lets_another_case_pass(token: KnownToken) -> None:
    body = token.secret[: -crypto.CHECKSUM_LENGTH]
    prefix, random = body.split("_")
    other = f"{prefix}_{random.swapcase()}"
    other += crypto._checksum(other)
    assert crypto.is_well_formed(other)

    assert get("/who/", f"Bearer {other}").status_code == 401


# Other callers and other classes.


def test_plain_request_of_django_is_authenticated(token: KnownToken) -> None:
    request: Any = RequestFactory().get("/", HTTP_AUTHORIZATION=bearer(token))

    authentication = AccessTokenAuthentication()

    assert authentication.authenticate(request) == (token.user, token)
    request.META["HTTP_AUTHORIZATION"] = "Bearer x"
    assert authentication.authenticate_header(request) == INVALID


class LateAuthentication(BaseAuthentication):
    """Answer to ``Bearer``, but say so only after having authenticated."""

    def authenticate(self, request: Request) -> None:
        self.challenge = "Bearer"

    def authenticate_header(self, request: Request) -> str:
        return self.challenge


class RecursiveAuthentication(BaseAuthentication):
    """Answer to ``Bearer``, but ask who the user is first."""

    def authenticate_header(self, request: Request) -> str:
        return f"Bearer {request.user}"

    def authenticate(self, request: Request) -> None:
        return None


@pytest.mark.parametrize("other", [LateAuthentication, RecursiveAuthentication])
def test_class_that_fails_to_name_its_scheme_shares_none(
    other: type[BaseAuthentication], rf: RequestFactory
) -> None:
    view = WhoView.as_view(authentication_classes=[AccessTokenAuthentication, other])

    assert view(rf.get("/", HTTP_AUTHORIZATION="Bearer foreign")).status_code == 401


@pytest.mark.parametrize(
    ("name", "status", "header"),
    [
        ("AuthenticationFailed", 401, INVALID),
        ("PermissionDenied", 403, None),
        ("PermissionDenied of Django", 403, None),
    ],
)
def test_subclass_may_refuse_a_token_and_nothing_is_recorded(
    user: User, name: str, status: int, header: str | None
) -> None:
    token = TokenFactory.create(user=user, name=name)
    # The first use of the new secret would end the old one.
    token.secret = Token.objects.rotate(token)
    before = Token.objects.values().get()

    response = get("/checking/", bearer(token))
    assert (response.status_code, response.headers.get("WWW-Authenticate")) == (status, header)
    assert Token.objects.values().get() == before


@pytest.mark.parametrize(
    ("name", "expires_at", "status"),
    [("laptop", None, 200), ("PermissionDenied", NOW, 401)],
)
def test_subclass_is_asked_about_good_tokens_and_accepts_the_others(
    user: User, name: str, expires_at: datetime | None, status: int
) -> None:
    token = TokenFactory.create(user=user, name=name, expires_at=expires_at)

    with time_machine.travel(NOW, tick=False):
        assert get("/checking/", bearer(token)).status_code == status
    token.refresh_from_db()
    assert (token.last_used_at is not None) == (status == 200)


def test_subclass_is_not_asked_about_a_session(session: Client) -> None:
    TokenFactory.create(user=User.objects.get(), name="PermissionDenied")

    assert session.get("/checking/").status_code == 200


def test_bearer_is_shared_with_the_tokens_of_other_packages() -> None:
    run_python("-m", "tests.shared_scheme")


SETTINGS = """
from rest_framework.views import APIView

SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "access_tokens"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["access_tokens.authentication.AccessTokenAuthentication"],
}
"""


def test_class_is_imported_before_the_apps_are_ready(tmp_path: Path) -> None:
    (tmp_path / "early_settings.py").write_text(SETTINGS)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    run_python("-m", "django", "check", PYTHONPATH=path, DJANGO_SETTINGS_MODULE="early_settings")


# Properties.

latin_1 = st.binary(max_size=200).map(lambda value: value.decode("latin-1"))
changes = st.lists(
    st.tuples(st.integers(0, 62), st.integers(0, 3), st.text(max_size=3) | latin_1), max_size=2
)
separators = st.text(st.sampled_from(" \t\r\n\v\f\0\xa0,"), max_size=3)
hostile = st.one_of(
    st.text(),
    latin_1,
    st.builds("Bearer{}{}".format, separators, st.text()),
    st.builds("Bearer{}{}".format, separators, latin_1),
)
many = hypothesis_settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
some = hypothesis_settings(many, max_examples=50)


def change(header: str, edits: list[tuple[int, int, str]]) -> str:
    for position, length, text in edits:
        header = header[:position] + text + header[position + length :]
    return header


def is_good(header: str, secret: str) -> bool:
    scheme, _, rest = header.strip(" \t").partition(" ")
    return scheme.lower() == "bearer" and rest.lstrip(" ") == secret


@given(header=hostile)
@example("")
@example("Bearer")
@example("Bearer  a b ")
@many
def test_header_is_split_at_its_first_spaces_and_nothing_is_lost(header: str) -> None:
    http_request = HttpRequest()
    http_request.META["HTTP_AUTHORIZATION"] = header

    scheme, rest = split_header(Request(http_request))

    assert re.fullmatch(rf"({TOKEN})?", scheme)
    assert not rest.startswith(" ")
    assert re.fullmatch(
        f"{re.escape(scheme)} *{re.escape(rest)}", header.strip(" \t"), flags=re.DOTALL
    )


@given(header=hostile)
@many
def test_hostile_header_gives_401_without_a_query(header: str) -> None:
    with CaptureQueriesContext(connection) as context:
        response = get("/who/", header)

    assert response.status_code == 401
    assert challenge(response) in {BARE, INVALID}
    assert not context.captured_queries


@given(edits=changes)
@many
def test_changed_header_gives_access_only_with_the_exact_secret(
    token: KnownToken, edits: list[tuple[int, int, str]]
) -> None:
    header = change(bearer(token), edits)
    with CaptureQueriesContext(connection) as context:
        response = get("/who/", header)

    if is_good(header, token.secret):
        assert response.status_code == 200
    else:
        assert response.status_code == 401
        assert not context.captured_queries


@pytest.mark.django_db(transaction=True)
@given(header=st.binary(max_size=100) | hostile.map(lambda text: text.encode(errors="ignore")))
@some
def test_hostile_header_gives_401_under_asgi(header: bytes) -> None:
    status, headers = call_asgi("/who/", header)

    assert status == 401
    assert headers[b"WWW-Authenticate"].decode() in {BARE, INVALID}


@pytest.mark.django_db(transaction=True)
def test_malformed_header_is_refused_under_asgi(token: KnownToken) -> None:
    for name, header in MALFORMED.items():
        raw = header.format(token.secret).encode("latin-1", errors="replace")
        assert call_asgi("/who/", raw)[0] == 401, name


@pytest.mark.django_db(transaction=True)
def test_token_gives_access_under_asgi(token: KnownToken) -> None:
    assert call_asgi("/who/", bearer(token).encode())[0] == 200


# A real server, and what only a socket can send.

WIRE = {
    "NUL": [b"Authorization: Bearer \0"],
    "NUL after": [b"Authorization: Bearer %s\0"],
    "byte 0xFF": [b"Authorization: Bearer \xff"],
    "byte 0xFF after": [b"Authorization: Bearer %s\xff"],
    "byte 0xA0": [b"Authorization: Bearer\xa0%s"],
    "tab": [b"Authorization: Bearer\t%s"],
    "folded line": [b"Authorization: Bearer", b" %s"],
    "folded line after": [b"Authorization: Bearer %s", b" x"],
    "good, bad": [b"Authorization: Bearer %s", b"Authorization: Bearer x"],
    "bad, good": [b"Authorization: Bearer x", b"Authorization: Bearer %s"],
    "good, good": [b"Authorization: Bearer %s", b"Authorization: Bearer %s"],
    "good, Basic": [b"Authorization: Bearer %s", b"Authorization: Basic eDp4"],
    "underscore": [b"Authorization: Bearer x", b"AUTHORIZATION_: Bearer %s"],
    "60 KiB": [b"Authorization: Bearer " + b"a" * 60_000],
}


@pytest.mark.django_db(transaction=True)
def test_bytes_on_the_wire_never_give_access_or_an_error(
    live_server: LiveServer, token: KnownToken
) -> None:
    for name, lines in WIRE.items():
        filled = [line.replace(b"%s", token.secret.encode()) for line in lines]
        assert call_live_server(live_server, "/who/", filled) in {400, 401}, name


@pytest.mark.django_db(transaction=True)
def test_token_gives_access_on_the_wire(live_server: LiveServer, token: KnownToken) -> None:
    line = b"authorization:bEARER %s  " % token.secret.encode()

    assert call_live_server(live_server, "/who/", [line]) == 200


# The answer to a secret that gives no access.


@pytest.fixture
def refused(token: KnownToken) -> dict[Reason, str]:
    """A header for each reason to refuse it."""
    expired = TokenFactory.create(expires_at=datetime.now(UTC))
    inactive = TokenFactory.create()
    User.objects.filter(pk=inactive.user.pk).update(is_active=False)
    return {
        Reason.MALFORMED: "Bearer x",
        Reason.UNKNOWN: f"Bearer {crypto.generate_secret('pat')}",
        Reason.EXPIRED: bearer(expired),
        Reason.INACTIVE: bearer(inactive),
    }


def test_every_refusal_looks_the_same(refused: dict[Reason, str]) -> None:
    responses = [get("/who/", header) for header in refused.values()]

    assert {response.status_code for response in responses} == {401}
    assert len({response.content for response in responses}) == 1
    assert len({tuple(response.items()) for response in responses}) == 1
    assert responses[0].json() == {"detail": "Invalid access token."}
    assert challenge(responses[0]) == INVALID


def test_refusal_is_in_the_language_of_the_request(token: KnownToken) -> None:
    response = get("/who/", "Bearer x", HTTP_ACCEPT_LANGUAGE="de")

    assert response.json() == {"detail": "Ungültiges Zugriffstoken."}


def test_known_secret_costs_one_query_and_an_unknown_one_two(
    refused: dict[Reason, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    costs = {Reason.MALFORMED: 0, Reason.UNKNOWN: 2}
    for reason, header in refused.items():
        with django_assert_num_queries(costs.get(reason, 1)):
            get("/who/", header)


def test_deleted_token_is_refused(token: KnownToken) -> None:
    token.delete()

    assert get("/who/", bearer(token)).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(-1, 200), (0, 401)])
def test_token_is_refused_from_its_expiration_on(user: User, seconds: int, status: int) -> None:
    token = TokenFactory.create(user=user, expires_at=NOW)

    with time_machine.travel(NOW + timedelta(seconds=seconds), tick=False):
        assert get("/who/", bearer(token)).status_code == status


def test_bad_token_is_refused_by_an_open_view(refused: dict[Reason, str]) -> None:
    for header in refused.values():
        response = get("/open/", header)
        assert (response.status_code, challenge(response)) == (401, INVALID)


def test_challenges_follow_the_grammar_of_http(token: KnownToken) -> None:
    assert parse_challenge(challenge(get("/who/", "Bearer x"))) == (
        "Bearer",
        {"realm": "api", "error": "invalid_token"},
    )
    assert parse_challenge(challenge(get("/who/", ""))) == ("Bearer", {"realm": "api"})


def test_view_that_refuses_a_good_token_does_not_call_it_invalid(token: KnownToken) -> None:
    response = get("/refusing/", bearer(token))

    assert (response.status_code, challenge(response)) == (401, BARE)


# Where a secret counts, and what a request leaves behind.


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"path": "/who/?access_token={}"}, id="query"),
        pytest.param({"path": "/who/?token={}&Authorization=Bearer+{}"}, id="queries"),
        pytest.param({"data": {"access_token": "{}", "token": "{}"}}, id="form"),
        pytest.param(
            {"data": '{{"access_token": "{}"}}', "content_type": "application/json"}, id="JSON"
        ),
        pytest.param({"HTTP_COOKIE": "access_token={0}; Authorization=Bearer {0}"}, id="cookie"),
        pytest.param({"HTTP_X_API_KEY": "{}"}, id="X-Api-Key"),
        pytest.param({"HTTP_X_ACCESS_TOKEN": "Bearer {}"}, id="X-Access-Token"),
        pytest.param({"HTTP_PROXY_AUTHORIZATION": "Bearer {}"}, id="Proxy-Authorization"),
    ],
)
def test_secret_counts_only_in_its_header(
    client: Client, token: KnownToken, request_: dict[str, Any]
) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: fill(text) for name, text in value.items()}
        return value.format(token.secret, token.secret)

    response = client.post(**{"path": "/who/"} | fill(request_))

    assert (response.status_code, challenge(response)) == (401, BARE)


@pytest.fixture
def session() -> Client:
    """Another user, who has logged in."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory.create(username="mallory"))
    return client


@pytest.mark.parametrize("method", ["get", "post"])
def test_token_wins_over_a_session_and_leaves_it_alone(
    session: Client, token: KnownToken, method: str
) -> None:
    sessions = list(Session.objects.values())
    logins = list(User.objects.order_by("pk").values_list("pk", "last_login"))

    response = getattr(session, method)("/who/", HTTP_AUTHORIZATION=bearer(token))

    assert response.status_code == 200
    assert response.json() == {"user": "ada", "token": "laptop"}
    assert not response.cookies
    assert list(Session.objects.values()) == sessions
    assert list(User.objects.order_by("pk").values_list("pk", "last_login")) == logins


def test_bad_token_is_refused_in_spite_of_a_session(session: Client) -> None:
    assert session.get("/who/", HTTP_AUTHORIZATION="Bearer x").status_code == 401


def test_session_still_counts_without_a_token(session: Client) -> None:
    assert session.get("/who/").json() == {"user": "mallory", "token": None}
    assert session.post("/who/").status_code == 403  # no CSRF token


def test_token_starts_no_session(client: Client, token: KnownToken) -> None:
    response = client.get("/who/", HTTP_AUTHORIZATION=bearer(token))

    assert not response.cookies
    assert not Session.objects.exists()
    assert User.objects.get().last_login is None


def test_token_needs_no_middleware(token: KnownToken) -> None:
    request = RequestFactory().post("/", HTTP_AUTHORIZATION=bearer(token))

    assert WhoView.as_view()(request).status_code == 200


# The cost.


@pytest.mark.parametrize("count", [0, 200])
def test_request_costs_one_select_and_at_most_one_update(token: KnownToken, count: int) -> None:
    Token.objects.bulk_create(
        Token(user=token.user, name=str(n), digest=f"sha256${n}", partial=str(n))
        for n in range(count)
    )
    with time_machine.travel(NOW, tick=False):
        with CaptureQueriesContext(connection) as first:
            get("/who/", bearer(token))
        with CaptureQueriesContext(connection) as second:
            get("/who/", bearer(token))

    assert statements(first) == ["SELECT", "UPDATE"]
    assert statements(second) == ["SELECT"]


# Methods and renderers.


def test_browser_may_look_at_the_api_with_a_token(token: KnownToken) -> None:
    with CaptureQueriesContext(connection) as context:
        response = get("/who/", bearer(token), HTTP_ACCEPT="text/html")

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    assert str(token.secret) not in response.content.decode()
    assert statements(context) == ["SELECT", "UPDATE"]


def test_browser_is_refused_like_any_client(client: Client) -> None:
    response = get("/who/", "Bearer x", HTTP_ACCEPT="text/html")

    assert (response.status_code, challenge(response)) == (401, INVALID)


@pytest.mark.parametrize("method", ["head", "options"])
def test_head_and_options_are_authenticated(client: Client, token: KnownToken, method: str) -> None:
    call = getattr(client, method)

    assert call("/who/", HTTP_AUTHORIZATION=bearer(token)).status_code == 200
    assert challenge(call("/who/", HTTP_AUTHORIZATION="Bearer x")) == INVALID
    assert challenge(call("/who/")) == BARE


# Throttling.


@pytest.fixture
def rejections() -> Iterator[list[dict[str, Any]]]:
    """What a receiver of ``token_rejected`` gets; from the third on it throttles."""
    calls: list[dict[str, Any]] = []

    def throttle(**kwargs: Any) -> None:
        calls.append(kwargs)
        if len(calls) > 2:
            raise Throttled(wait=60)

    token_rejected.connect(throttle)
    yield calls
    token_rejected.disconnect(throttle)


def test_receiver_may_throttle(rejections: list[dict[str, Any]]) -> None:
    responses = [get("/who/", "Bearer x", REMOTE_ADDR="192.0.2.1") for _ in range(4)]

    assert [response.status_code for response in responses] == [401, 401, 429, 429]
    assert responses[-1]["Retry-After"] == "60"
    assert {call["request"].META["REMOTE_ADDR"] for call in rejections} == {"192.0.2.1"}


def test_receiver_is_called_for_each_refusal(
    rejections: list[dict[str, Any]], refused: dict[Reason, str]
) -> None:
    for header in refused.values():
        get("/who/", header)

    assert [call["reason"] for call in rejections] == list(refused)


def test_receiver_is_not_called_otherwise(
    rejections: list[dict[str, Any]], token: KnownToken
) -> None:
    for header in (bearer(token), "", "Basic x"):
        get("/open/", header)

    assert rejections == []


# The database fails.


def break_query(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    return execute("SELECT nothing FROM nowhere", None, many, context)


def test_no_frame_holds_the_secret_when_the_database_fails(token: KnownToken) -> None:
    with connection.execute_wrapper(break_query), pytest.raises(DatabaseError) as caught:
        Client().get("/who/", HTTP_AUTHORIZATION=bearer(token))

    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    names = [frame.f_code.co_name for frame in frames]
    frames = frames[names.index("dispatch") :]  # from the view on
    assert {"authenticate", "_verify", "get"} <= set(names)
    for frame in frames:
        for value in frame.f_locals.values():
            assert token.secret not in str(value)
            assert token.secret not in repr(value)


def test_debug_page_does_not_show_the_secret(token: KnownToken, settings: Settings) -> None:
    settings.DEBUG = True
    with connection.execute_wrapper(break_query):
        response = get("/who/", bearer(token))

    page = response.content.decode()
    assert response.status_code == 500
    assert "authenticate" in page
    assert "HTTP_AUTHORIZATION" in page
    assert token.secret not in page


def test_mail_to_the_admins_does_not_show_the_secret(token: KnownToken) -> None:
    class Outbox(AdminEmailHandler):
        def send_mail(self, *texts: Any, html_message: Any = None, **kwargs: Any) -> None:
            mails.append("".join(map(str, [*texts, html_message])))

    mails: list[str] = []
    outbox = Outbox(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(outbox)
    try:
        with connection.execute_wrapper(break_query):
            response = get("/who/", bearer(token))
    finally:
        logger.removeHandler(outbox)

    assert response.status_code == 500
    assert "HTTP_AUTHORIZATION" in mails[0]
    assert token.secret not in mails[0]


def test_failing_database_never_gives_a_user(
    token: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        raise AssertionError("The view was called.")

    monkeypatch.setattr("tests.api.run", run)
    for path in ("/run/", "/open/"):
        with connection.execute_wrapper(break_query), pytest.raises(DatabaseError):
            Client().get(path, HTTP_AUTHORIZATION=bearer(token))
