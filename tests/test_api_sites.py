"""The REST API of tokens on unusual sites, and against unusual requests."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from django.conf.global_settings import FILE_UPLOAD_MAX_MEMORY_SIZE
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.pagination import CursorPagination, LimitOffsetPagination
from rest_framework.permissions import AllowAny, DjangoModelPermissions
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.throttling import ScopedRateThrottle, UserRateThrottle
from rest_framework.versioning import AcceptHeaderVersioning, NamespaceVersioning
from rest_framework.views import APIView

from access_tokens.api.views import TokenViewSet
from access_tokens.authentication import AccessTokenAuthentication
from access_tokens.crypto import Secret
from access_tokens.models import Token

from .clients import client_of
from .factories import KnownToken, TokenFactory

NOW = datetime(2030, 1, 2, tzinfo=UTC)
API = "/api/tokens/"
SELF = f"{API}self/"
JSON = "application/json"

Site = Callable[..., None]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a function that changes the defaults of the site, which are attributes of APIView."""

    def change(**attributes: Any) -> None:
        for name, value in attributes.items():
            monkeypatch.setattr(APIView, name, value)

    return change


def paths(root: str, token: Token) -> list[tuple[str, str]]:
    one = f"{root}{token.pk}/"
    return [
        ("GET", root), ("POST", root), ("GET", one), ("PATCH", one), ("DELETE", one),
        ("POST", f"{one}rotate/"), ("OPTIONS", root),
    ]  # fmt: skip


def statuses(client: Client, calls: list[tuple[str, str]]) -> set[int]:
    return {client.generic(method, path).status_code for method, path in calls}


# Who gets in.


def test_nobody_gets_in_without_logging_in(token: KnownToken, site: Site) -> None:
    calls = [*paths(API, token), ("GET", SELF), ("DELETE", SELF), ("POST", f"{SELF}rotate/")]

    assert statuses(Client(), calls) == {401}
    site(permission_classes=[AllowAny])
    assert statuses(Client(), calls) == {401}
    site(authentication_classes=[SessionAuthentication])
    assert statuses(Client(), calls) == {403}
    site(authentication_classes=[])
    assert statuses(Client(), calls) == {403}


def test_nobody_gets_in_where_anonymous_is_none(token: KnownToken, settings: Settings) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"UNAUTHENTICATED_USER": None}

    assert statuses(Client(), paths(API, token)) == {401}


@pytest.mark.urls("tests.api_sites")
@pytest.mark.parametrize(
    "root", ["open", "users/1/tokens", "forgetful", "header", "middleware", "1/tokens"]
)
def test_token_manages_nothing_through_a_changed_viewset(token: KnownToken, root: str) -> None:
    calls = paths(f"/{root}/", token)

    assert statuses(client_of(token), calls) == {403}
    assert Token.objects.get().rotated_at is None


@pytest.mark.urls("tests.api_sites")
def test_rule_covers_the_actions_of_a_site(session: Client, token: KnownToken) -> None:
    assert client_of(token).get("/open/count/").status_code == 403
    assert session.get("/open/count/").json() == 1
    assert session.get("/open/anonymous/").status_code == 403


@pytest.mark.urls("tests.api_sites")
def test_user_of_another_kind_gets_403(token: KnownToken) -> None:
    assert statuses(Client(), paths("/service/", token)) == {403}


@pytest.mark.urls("tests.api_sites")
def test_nested_router_leads_to_ones_own_tokens(session: Client, token: KnownToken) -> None:
    foreign = TokenFactory.create()

    found = session.get(f"/users/{foreign.user_id}/tokens/").json()["results"]
    assert [found["id"] for found in found] == [token.pk]
    assert session.get(f"/users/1/tokens/{foreign.pk}/").status_code == 404
    assert client_of(token).get("/users/1/tokens/self/").json()["id"] == token.pk
    assert session.get("/users/1/tokens/x/").status_code == 404


def test_permission_classes_of_the_site_hold_too(session: Client, site: Site) -> None:
    site(permission_classes=[DjangoModelPermissions])

    assert session.get(API).status_code == 200
    assert session.post(API, {"name": "CI"}).status_code == 403


@pytest.mark.urls("tests.api_sites")
def test_serializer_of_the_site_is_used(session: Client, token: KnownToken) -> None:
    refused = session.post("/team/", {"name": "CI"})

    assert (refused.status_code, list(refused.json())) == (400, ["name"])
    assert session.post("/team/", {"name": "team-CI"}).status_code == 201


# CSRF.


@pytest.mark.parametrize(
    "classes", [[AccessTokenAuthentication, SessionAuthentication], [SessionAuthentication]]
)
def test_session_needs_a_csrf_token(
    user: User, token: KnownToken, site: Site, classes: list[Any]
) -> None:
    site(authentication_classes=classes, permission_classes=[AllowAny])
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    calls = [call for call in paths(API, token) if call[0] not in {"GET", "OPTIONS"}]

    assert statuses(client, calls) == {403}
    assert Token.objects.get().rotated_at is None
    client.get("/account/tokens/new/")  # sets the cookie
    header = {"X-CSRFToken": client.cookies["csrftoken"].value}
    assert client.post(API, {"name": "CI"}, headers=header).status_code == 201


# What else a site may have set.


@pytest.mark.urls("tests.api_sites")
@pytest.mark.parametrize("versioning", [NamespaceVersioning, AcceptHeaderVersioning])
def test_versions_of_the_site_do_not_matter(
    session: Client, site: Site, monkeypatch: pytest.MonkeyPatch, versioning: Any
) -> None:
    monkeypatch.setattr(versioning, "allowed_versions", ["v2"])
    site(versioning_class=versioning)

    assert session.get("/v2/tokens/").status_code == 200
    assert session.get("/v2/tokens/", headers={"Accept": f"{JSON}; version=v9"}).status_code == 200


def test_throttles_of_the_site_hold(
    session: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UserRateThrottle, "rate", "2/day", raising=False)
    site(throttle_classes=[ScopedRateThrottle, UserRateThrottle])

    assert [session.get(API).status_code for _ in range(3)] == [200, 200, 429]


def test_api_works_without_browsable_api_and_metadata(session: Client, site: Site) -> None:
    site(renderer_classes=[JSONRenderer], metadata_class=None)

    assert session.post(API, {"name": "CI"}, headers={"Accept": JSON}).status_code == 201
    assert session.options(API).status_code == 405


class YAMLRenderer(BaseRenderer):
    """Render as those of packages do, by a dumper that takes no subclass of a type."""

    media_type = "application/yaml"
    format = "yaml"

    def render(self, data: Any, *args: Any) -> Any:
        return yaml.safe_dump(data)


@pytest.mark.parametrize("others", [[], [JSONRenderer], [BrowsableAPIRenderer]])
@pytest.mark.parametrize("accept", ["application/yaml", "*/*", "text/html, application/yaml;q=0.1"])
def test_renderer_of_the_site_shows_the_secret(
    session: Client, site: Site, accept: str, others: list[Any]
) -> None:
    site(renderer_classes=[YAMLRenderer, *others])

    headers = {"Accept": accept}
    created: Any = session.post(API, {"name": "CI"}, headers=headers)
    rotated: Any = session.post(f"{API}{Token.objects.get().pk}/rotate/", headers=headers)

    assert (created.status_code, rotated.status_code) == (201, 200)
    for answer in [created, rotated]:
        assert answer.data["secret"] in answer.content.decode()


def test_renderers_of_drf_get_a_masked_secret(session: Client) -> None:
    answer: Any = session.post(API, {"name": "CI"})

    assert isinstance(answer.data["secret"], Secret)


class Limit(LimitOffsetPagination):
    default_limit = 2


class Cursor(CursorPagination):
    page_size = 2
    ordering = "-created"  # DRF's default, which tokens lack


@pytest.mark.parametrize("pagination", [Limit, Cursor, None])
@pytest.mark.parametrize("ordering", ["", "name", "-last_used_at", "expires_at"])
def test_pagination_of_the_site_shows_each_token_once(
    session: Client, user: User, monkeypatch: pytest.MonkeyPatch, pagination: Any, ordering: str
) -> None:
    monkeypatch.setattr(TokenViewSet, "pagination_class", pagination)
    times = [None, NOW, None, NOW + timedelta(days=1), None]
    tokens = {
        TokenFactory.create(user=user, last_used_at=time, expires_at=time).pk for time in times
    }

    found: list[int] = []
    page: Any = {"next": f"{API}?ordering={ordering}", "results": []}
    while page["next"]:
        answer = session.get(page["next"]).json()
        page = {"next": None, "results": answer} if pagination is None else answer
        found += [token["id"] for token in page["results"]]
    assert (len(found), set(found)) == (5, tokens)


def cursor(query: str) -> str:
    return "cursor=" + quote(b64encode(query.encode()).decode())


@pytest.mark.parametrize("pagination", [Limit, Cursor])
@pytest.mark.parametrize(
    "query",
    [
        f"limit={'9' * 30}", f"offset={'9' * 30}", "limit=x", "cursor=x", cursor("p=x"),
        cursor("p=%00"), cursor(f"p={'9' * 30}"), cursor("o=5000&p=1"),
        f"ordering=created_at&{cursor('p=x')}", f"ordering=name&{cursor('p=%00')}",
    ],
)  # fmt: skip
@pytest.mark.django_db(transaction=True)
def test_forged_page_gets_no_5xx(
    session: Client, token: KnownToken, monkeypatch: pytest.MonkeyPatch, pagination: Any, query: str
) -> None:
    monkeypatch.setattr(TokenViewSet, "pagination_class", pagination)

    assert session.get(f"{API}?{query}").status_code in {200, 400, 404}


# Unusual requests.


BODIES = [
    b"", b"null", b"[]", b'"x"', b"1", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 50_000,
    b'{"name": "\\ud800"}', b'{"\\ud800": 1}', b'{"\\u0000": 1}', b'{"name": "a\\u0000b"}',
    b'{"name": "x", "scopes": ["\\ud800"]}', b'{"name": "x", "scopes": [{}]}',
    b'{"name": {}, "scopes": [null]}', b'{"name": %s}' % (b"9" * 5000),
    b'{"name": "x", "expires_in_days": %s}' % (b"9" * 900), b'{"name": "x", "expires_in_days": {}}',
    b'{"name": "x", "expires_at": "9999-12-31T23:59:59-23:59", "scopes": ["read"]}',
    b'{"name": "x", "expires_at": "9999-12-31T23:59:59", "scopes": ["read"]}',
    b'{"name": "x", "expires_at": "0001-01-01T00:00:00+14:00", "scopes": ["read"]}',
    b'{"name": "x", "expires_at": "\\u0000", "scopes": ["read"]}',
    b'{"name": "x", "expires_at": {}, "scopes": ["read"]}',
    b'{"name": "x", "expires_at": "x", "scopes": ["read"]}',
    b'{"end_previous_now": "\\ud800"}', b'{"end_previous_now": []}',
]  # fmt: skip
TYPES = [
    JSON, *(f"{JSON}; charset={charset}" for charset in ["hex", "rot13", "zlib", "idna", "nope"]),
    "multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "x", "",
    "application/x-www-form-urlencoded",
]  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "zone"), [(JSON, "America/New_York"), ("text/html", "Asia/Tokyo")]
)
def test_unusual_body_gets_no_5xx(
    session: Client, token: KnownToken, settings: Settings, accept: str, zone: str
) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": {"read": "Read", "write": "Write"}}
    settings.TIME_ZONE = zone
    one = f"{API}{token.pk}/"
    calls = [("POST", API), ("PATCH", one), ("POST", f"{one}rotate/")]
    bodies = [(body, JSON) for body in BODIES] + [(b'{"a": "b"}', kind) for kind in TYPES]

    for body, kind in bodies:
        for method, path in calls:
            response = session.generic(method, path, body, kind, headers={"Accept": accept})
            assert response.status_code in {200, 201, 400, 415}, (method, path, body[:80], kind)


def test_file_gets_no_5xx(session: Client, token: KnownToken) -> None:
    for path in [API, f"{API}{token.pk}/rotate/"]:
        # So large that it's on disk, and can't be copied.
        file = SimpleUploadedFile("file", b"x" * (FILE_UPLOAD_MAX_MEMORY_SIZE + 1))
        assert session.post(path, {"name": "CI", "file": file}).status_code == 400


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).flatmap(
        lambda value: st.dictionaries(
            st.sampled_from(["name", "scopes", "expires_at", "expires_in_days", "x"]),
            st.just(value) | st.text() | st.integers() | st.none() | st.datetimes().map(str),
        )
    )
)
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_object_gets_no_5xx(session: Client, token: KnownToken, body: dict[str, Any]) -> None:
    assert session.post(API, body, content_type=JSON).status_code in {201, 400}
    path = f"{API}{token.pk}/"
    assert session.patch(path, body, content_type=JSON).status_code in {200, 400}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("page=0", 404), (f"page={'9' * 5000}", 404), ("page=%00", 404), ("state=%00", 400),
        ("search=%00", 400), ("search=%25%27%22", 200), (f"search={'a+' * 50}", 200),
        (f"search={'a+' * 5000}", 400), ("ordering=%00", 200), ("ordering=?", 200),
    ],
)  # fmt: skip
def test_unusual_query_gets_no_5xx(session: Client, query: str, status: int) -> None:
    assert session.get(f"{API}?{query}").status_code == status


@pytest.mark.parametrize("number", ["0", "-1", "9" * 25, "9" * 5000, "1.5", "%00", "\u0663", "x"])
def test_unusual_id_is_unknown(session: Client, token: KnownToken, number: str) -> None:
    assert session.get(f"{API}{number}/").status_code == 404
    assert session.post(f"{API}{number}/rotate/").status_code == 404


def test_form_may_have_the_csrf_token_as_a_field(session: Client, token: KnownToken) -> None:
    field = {"csrfmiddlewaretoken": "x", "name": "CI"}

    assert session.post(API, field, content_type=JSON).status_code == 400
    assert session.post(API, field | {"expires_in_days": "5"}).status_code == 201


# The browsable API.


def html(client: Client, method: str, path: str, **body: Any) -> str:
    response = getattr(client, method)(path, body, headers={"Accept": "text/html"})
    assert response.headers["Content-Type"].startswith("text/html")
    return response.content.decode()  # type: ignore[no-any-return]  # untyped above


def test_browsable_api_has_a_form_to_create(session: Client, settings: Settings) -> None:
    settings.ACCESS_TOKENS = {"SCOPES": {"read": "Read all", "write": "Write"}}

    page = html(session, "get", API)

    for part in ['name="name"', 'name="expires_at"', 'name="expires_in_days"', "Read all"]:
        assert part in page
    # What it suggests as JSON can be sent as it is, with a name.
    assert "{\n    &quot;name&quot;: &quot;&quot;,\n    &quot;scopes&quot;: [" in page
    assert "expires_at&quot;" not in page


def test_browsable_api_shows_a_secret_once(session: Client, token: KnownToken) -> None:
    created = html(session, "post", API, name="CI", expires_at="", expires_in_days="")
    new = Token.objects.latest("pk")
    start = new.partial.partition("…")[0]
    assert created.count(start) == 2  # the partial and the secret
    assert 'name="expires_in_days"' in created  # the form for another one
    assert Token.objects.get(pk=new.pk).expires_at is not None
    assert html(session, "get", API).count(start) == 1

    path = f"{API}{token.pk}/"
    rotated = html(session, "post", f"{path}rotate/", end_previous_now="true")
    token.refresh_from_db()
    start = token.partial.partition("…")[0]
    assert rotated.count(start) == 2
    for page in (html(session, "get", path), html(session, "get", f"{path}rotate/")):
        assert page.count(start) <= 1


def test_browsable_api_has_forms_to_change_and_rotate(session: Client, token: KnownToken) -> None:
    page = html(session, "get", f"{API}{token.pk}/")
    assert 'data-method="PATCH"' in page
    assert "&quot;name&quot;: &quot;laptop&quot;\n}</textarea>" in page
    assert 'name="end_previous_now"' in html(session, "get", f"{API}{token.pk}/rotate/")


def test_browsable_api_has_no_form_for_users_who_may_not_create(
    session: Client, settings: Settings
) -> None:
    settings.ACCESS_TOKENS = {"MAY_CREATE": lambda user: False}

    assert 'name="name"' not in html(session, "get", API)


# Caches.


@pytest.mark.parametrize("path", [API, f"{API}0/", SELF, f"{API}0/rotate/"])
def test_answers_are_private(session: Client, path: str) -> None:
    for client in (session, Client()):
        control = client.get(path).headers["Cache-Control"]
        assert "no-store" in control
        assert "private" in control
